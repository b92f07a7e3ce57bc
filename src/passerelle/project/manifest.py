"""What `passerelle new` wrote into a project: its own version, and the digest of each file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from passerelle.errors import UsageError
from passerelle.regular_file import read_json_file

FILE = ".passerelle-project.json"


@dataclass(frozen=True)
class ProjectManifest:
    """The record of the last writing.

    Attributes:
        passerelle: Version that wrote the files.
        id: Tells this project from others of the same name; copies of one project share it.
        files: SHA-256 of each file as it was written, by its path.
    """

    passerelle: str
    id: str
    files: Mapping[str, str]

    def content(self) -> bytes:
        """Return the file's bytes."""
        return (json.dumps(asdict(self), indent=2, sort_keys=True) + "\n").encode()


def digest(content: bytes) -> str:
    """Return SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def read_manifest(root: Path) -> ProjectManifest | None:
    """Return the record of a project, or None where there is none.

    Raises:
        UsageError: It is there and cannot be read.
    """
    path = root / FILE
    try:
        content = read_json_file(path)
        return ProjectManifest(str(content["passerelle"]), str(content["id"]), {str(k): str(v) for k, v in content["files"].items()})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"cannot read {path}: {type(error).__name__}: {error}; it is written by passerelle new and not meant to be edited"
        raise UsageError(message, hint=f"git checkout {FILE}") from error


def project_id(root: Path, name: str) -> str:
    """Return what tells a project from others on the same server: its name, and the id that `passerelle new` gave it."""
    manifest = read_manifest(root)
    return name if manifest is None else f"{name} ({manifest.id})"
