"""One archive of what a running service needs of a model version: it costs one download, where the files cost one each."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from passerelle.errors import UsageError
from passerelle.model.manifest import ADOPTED
from passerelle.model.mlmodel import ModelDescription
from passerelle.names import GOLDEN, MANIFEST_FILE, MODEL_FOLDER, SCORER_FOLDER, SIGNATURE_FILE
from passerelle.scorer.storage import INDEX

_MODE = 0o644
#: Of one file, in the archive's format.
_MOST_BYTES = 8 << 30


def write_bundle(
    target: Path, folder: Path, *, golden: Path, manifest: Mapping[str, Any], signature: str | None, description: ModelDescription
) -> None:
    """Write the bundle: an uncompressed tar, the same bytes each time from the same files.

    Extracted, it is the directory of a bento model without its lineage and model.yaml, and without the pipeline's own file where the
    model is compiled: the scorer answers, and the pipeline is by far the largest file.

    Args:
        target: The file to write.
        folder: The model's directory, whose files are those of the manifest.
        golden: The file of the golden predictions; what adoption recorded lies beside it.
        signature: Of the manifest; None where it is not signed.
        description: Of the model in the folder.

    Raises:
        UsageError: The path of a file is too long for the archive.
    """
    with tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as archive:
        content = json.dumps(manifest, ensure_ascii=False, sort_keys=True, indent=1).encode()
        _add(archive, MANIFEST_FILE, io.BytesIO(content), len(content))
        if signature is not None:
            _add(archive, SIGNATURE_FILE, io.BytesIO(signature.encode()), len(signature.encode()))
        _add_file(archive, GOLDEN, golden)
        for name in sorted(manifest.get(ADOPTED, ())):
            _add_file(archive, name, golden.parent / name)
        for name in _bundled(manifest, description):
            _add_file(archive, f"{MODEL_FOLDER}/{name}", folder / name)


def _bundled(manifest: Mapping[str, Any], description: ModelDescription) -> Iterator[str]:
    """Yield the files of the model that go into its bundle, by their path in its directory, sorted."""
    compiled = f"{SCORER_FOLDER}/{INDEX}" in manifest["files"]
    for name in sorted(manifest["files"]):
        if not (compiled and name == Path(description.model_file).as_posix()):
            yield name


def _add_file(archive: tarfile.TarFile, name: str, path: Path) -> None:
    with path.open("rb") as content:
        _add(archive, name, content, path.stat().st_size)


def _add(archive: tarfile.TarFile, name: str, content: IO[bytes], size: int) -> None:
    # A new TarInfo has no owner, no group and no time: nothing of this machine is in the archive.
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, _MODE
    if size >= _MOST_BYTES:
        message = f"the file {name} of the model has {size >> 30} GiB, and a bundle for services that follow takes files under 8 GiB"
        raise UsageError(message, hint="passerelle adopt models:/NAME/VERSION")
    try:
        archive.addfile(entry, content)
    except ValueError as error:
        message = f"the path {name} of the model is too long for its bundle; shorten the folders in code_paths of log_model: {error}"
        raise UsageError(message, hint="passerelle train --again") from error
