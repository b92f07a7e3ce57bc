"""Whether `make demo` makes the same model on a busy machine: each time from nothing, beside processes that keep all cores busy.

    python -m loadtests.same_model                    ten runs beside four busy processes
    python -m loadtests.same_model --runs 2 --busy 0

Prints a line for each run: its time, which candidate is in production, and the digest of the compiled scorer's files, hence of each array
byte for byte. Exits with 1 where two runs differ.
"""

# ruff: noqa: T201 - a script that prints

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
DEMO = (sys.executable, "-m", "passerelle", "demo", "--criteria", "training/data/criteria.yaml", "--json")
#: The file that lists the arrays of a compiled scorer.
INDEX = "scorer.json"


class Model(NamedTuple):
    """What a run of the demo put into production.

    Attributes:
        candidate: Its name.
        arrays: SHA-256 of the scorer's files.
    """

    candidate: str
    arrays: str


@contextlib.contextmanager
def busy(number: int) -> Iterator[None]:
    """Keep so many processes computing."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def model_of_demo(state: Path) -> Model:
    """Run the demo with an empty state folder, and return its model."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PASSERELLE_", "MLFLOW_", "BENTOML_"))}
    done = subprocess.run(
        DEMO, cwd=ROOT, env={**variables, "PASSERELLE_STATE_DIR": str(state)}, capture_output=True, text=True, check=False, timeout=3_600
    )
    if done.returncode != 0:
        raise SystemExit(f"the demo failed: {done.stderr[-2_000:]}")
    registered = json.loads(done.stdout)["register"]
    (index,) = (state / "bentoml" / "models").rglob(INDEX)
    digest = hashlib.sha256()
    for path in sorted(index.parent.iterdir()):
        digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return Model(registered["candidate"], digest.hexdigest())


def main() -> None:
    """Run the demo again and again, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--busy", type=int, default=4, help="processes beside it")
    options = parser.parse_args()
    found = []
    with busy(options.busy):
        for number in range(1, options.runs + 1):
            start = time.perf_counter()
            with tempfile.TemporaryDirectory(prefix="same-model-") as folder:
                found.append(model_of_demo(Path(folder) / "state"))
            print(f"{number}: {time.perf_counter() - start:.0f} s, {found[-1].candidate}, {found[-1].arrays[:16]}", flush=True)
    print(f"the same model {max(map(found.count, found))} of {len(found)}")
    sys.exit(len(set(found)) > 1)


if __name__ == "__main__":
    main()
