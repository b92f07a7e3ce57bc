"""What loading a model costs: the memory of a process that holds what answers in production, its libraries, and nothing else.

A difference in the gate's own process says nothing: what it had freed before is used again, and the difference is 0.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from passerelle.errors import OutsideError
from passerelle.scorer.scorer import CompiledScorer
from passerelle.scorer.storage import pack, unpack
from passerelle.settings import LoadingSettings

_TIMEOUT_S = 300.0
_MOST_STDERR = 2_000
_SCORER, _PIPELINE = "scorer", "pipeline"
#: What was measured by this process, by the files: whoever judges several versions judges the one in production each time.
_MEASURED_MIB: dict[str, float] = {}
#: As in the service: libraries are held to one thread.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def loading_memory_mib(folder: Path, scorer: CompiledScorer | None, record: Mapping[str, object]) -> float:
    """Return the memory, in MiB, of a new process once it has loaded what answers and answered one record.

    Args:
        folder: The model's directory.
        scorer: What answers; None where the pipeline itself does.

    Raises:
        OutsideError: The process failed, such as for lack of memory.
    """
    with tempfile.TemporaryDirectory(prefix="passerelle-loading-") as temporary:
        kind, place = _PIPELINE, folder
        if scorer is not None:
            kind, place = _SCORER, Path(temporary) / _SCORER
            pack(scorer, place)
        digest = f"{kind} {_digest(place)}"
        if digest not in _MEASURED_MIB:
            _MEASURED_MIB[digest] = _measured_mib(kind, place, record)
        return _MEASURED_MIB[digest]


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        digest.update(f"{path.relative_to(folder)}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _measured_mib(kind: str, place: Path, record: Mapping[str, object]) -> float:
    # Not `-m`: what answers must not share the process with this module's own imports.
    command = [sys.executable, "-P", "-c", f"from {__name__} import measure; measure()", kind, str(place)]
    environment = {**os.environ, **_ONE_THREAD, "PASSERELLE_TRUSTED_TYPES": LoadingSettings.read().trusted_types}
    given = json.dumps(record, default=lambda value: value.item() if hasattr(value, "item") else str(value))
    try:
        done = subprocess.run(command, input=given, capture_output=True, text=True, env=environment, timeout=_TIMEOUT_S, check=True)
        return int(done.stdout) / 2**20
    except (subprocess.SubprocessError, OSError, ValueError) as error:
        # Its output may quote the record.
        stderr = (getattr(error, "stderr", None) or "").strip().splitlines()
        why = stderr[-1].partition(":")[0][:_MOST_STDERR] if stderr else type(error).__name__
        message = f"the process that measures the memory of the model failed: {why}"
        raise OutsideError(message, hint="passerelle status") from error


def measure() -> None:
    """Load what the command line names, answer the record on standard input, and print the resident memory in bytes."""
    kind, place = sys.argv[1], Path(sys.argv[2])
    record = json.loads(sys.stdin.read())
    scorer = unpack(place, pipeline_label=None) if kind == _SCORER else None
    if scorer is not None:
        scorer.answer({name: record.get(name) for name in scorer.columns})
    else:
        _answer_by_pipeline(place, record)
    import psutil  # noqa: PLC0415 - after what answers, whose memory it is about

    sys.stdout.write(str(psutil.Process().memory_info().rss))


def _answer_by_pipeline(folder: Path, record: Mapping[str, object]) -> None:
    from passerelle.model.classifier import load_pipeline, pipeline_rows  # noqa: PLC0415 - a compiled scorer does without scikit-learn
    from passerelle.model.mlmodel import describe  # noqa: PLC0415 - likewise

    description = describe(folder)
    pipeline_rows(load_pipeline(folder, description), description.column_names, [record], flavor=description.flavor)
