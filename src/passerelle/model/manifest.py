"""The digest of every file of a model, recorded at registration and checked at every later stage."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from passerelle.errors import TRAIN_AGAIN, DamagedFileError, DigestError
from passerelle.model.adoption import ADOPTION_FILE, LOCK_FILE
from passerelle.names import MANIFEST_FILE, SCORER_FOLDER
from passerelle.regular_file import MOST_MODEL_BYTES, open_regular_file, read_json_file

SCHEMA = 1
#: The key of the files that adoption recorded; not there in the manifest of a model that was registered by passerelle.
ADOPTED = "adopted"
_OF_ADOPTION = (ADOPTION_FILE, LOCK_FILE)


def digest_of_file(path: Path) -> str:
    """Return `sha256:` and the digest of a file."""
    with open_regular_file(path) as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def digests_of_files(folder: Path) -> dict[str, str]:
    """Return the digest of each file below the folder, by its relative path."""
    return {path.relative_to(folder).as_posix(): digest_of_file(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def manifest_of(folder: Path, golden: Path) -> dict[str, Any]:
    """Return the manifest: the digest of each file of the model's directory, of its golden predictions, and of what adoption recorded.

    Args:
        folder: The model's directory.
        golden: The file of the golden predictions; what adoption recorded lies beside the model's directory.
    """
    adopted = {name: digest_of_file(folder.parent / name) for name in _OF_ADOPTION if (folder.parent / name).is_file()}
    manifest = {"schema": SCHEMA, "files": digests_of_files(folder), "golden": digest_of_file(golden)}
    return {**manifest, ADOPTED: adopted} if adopted else manifest


def digest_of_manifest(manifest: Mapping[str, object]) -> str:
    """Return the artifact digest: SHA-256 of the manifest as canonical JSON."""
    canonical = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    # No manifest of passerelle contains a lone surrogate; it must give another digest, not an exception.
    return "sha256:" + hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a bento model's directory.

    Raises:
        IntegrityError: It is missing or cannot be read.
    """
    try:
        manifest: dict[str, Any] = read_json_file(folder / MANIFEST_FILE, MOST_MODEL_BYTES)
    except (OSError, ValueError) as error:
        raise DamagedFileError(f"{folder.name} is not a bento model of passerelle", hint="passerelle import; passerelle build") from error
    return manifest


def check_manifest(
    folder: Path, golden: Path, manifest: Mapping[str, Any], *, expected_digest: str | None = None, scorer_alone: bool = False
) -> None:
    """Check that each file is as recorded, that none is missing and that none was added.

    Args:
        expected_digest: The artifact digest that the registry holds, if one is known.
        scorer_alone: Whether files may be missing that only the pipeline of a compiled model needs.

    Raises:
        IntegrityError: Names the first file that differs.
    """
    if expected_digest is not None and digest_of_manifest(manifest) != expected_digest:
        raise DigestError("the manifest is not the one that was recorded at registration", hint=TRAIN_AGAIN)
    try:
        now, recorded = manifest_of(folder, golden), dict(manifest["files"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DigestError("the manifest names no files, or the golden predictions cannot be read", hint=TRAIN_AGAIN) from error
    for name in sorted(recorded.keys() | now["files"].keys()):
        if name not in now["files"]:
            if scorer_alone and is_of_the_pipeline(name, recorded):
                continue
            raise DigestError(f"the model's file {name} is missing", hint=TRAIN_AGAIN)
        if name not in recorded:
            raise DigestError(f"the model holds {name}, which was not there at registration", hint=TRAIN_AGAIN)
        if recorded[name] != now["files"][name]:
            raise DigestError(f"the model's file {name} is not the one that was registered", hint=TRAIN_AGAIN)
    if manifest.get("golden") != now["golden"]:
        raise DigestError("the golden predictions are not those that were registered", hint=TRAIN_AGAIN)
    if manifest.get(ADOPTED) != now.get(ADOPTED):
        raise DigestError("the record of the adoption is not the one that was recorded", hint="passerelle rollback")


def is_of_the_pipeline(name: str, files: Iterable[str]) -> bool:
    """Return whether a model with these files is served without this one: it is compiled, and the file is not part of the scorer.

    Args:
        name: Relative to the model's folder.
        files: All files of the model, likewise.
    """
    scorer = f"{SCORER_FOLDER}/"
    return any(each.startswith(scorer) for each in files) and not name.startswith(scorer) and name != "MLmodel"
