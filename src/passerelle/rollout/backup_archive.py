"""The file of a backup: a tar with the database's dump, the objects, and a manifest that holds the digest of each."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from botocore.exceptions import BotoCoreError
from urllib3.exceptions import HTTPError

from passerelle.errors import BusyError, IntegrityError, NotFoundError, OutsideError, UsageError
from passerelle.registry.objects import Objects, Readable

DATABASE, MANIFEST, OBJECTS = "mlflow.dump", "manifest.json", "objects/"
_ANOTHER = "passerelle restore FILE --verify"


def write_archive(
    archive: tarfile.TarFile,
    moment: Mapping[str, object],
    dump: IO[bytes],
    objects: Objects,
    *,
    keys: Sequence[str],
    ledger: Mapping[str, bytes],
) -> bytes:
    """Add the database, the objects and the manifest to the archive, and return the manifest.

    Args:
        moment: What the manifest says besides: when the backup was made, and with what.
    """
    dump.seek(0)
    digests = {DATABASE: _added(archive, DATABASE, dump, os.fstat(dump.fileno()).st_size)}
    for key in keys:
        stream, size = (io.BytesIO(ledger[key]), len(ledger[key])) if key in ledger else _stream(objects, key)
        digests[OBJECTS + key] = _added(archive, OBJECTS + key, stream, size)
    manifest = json.dumps({**moment, "digests": digests}, sort_keys=True, ensure_ascii=False, indent=1).encode()
    _added(archive, MANIFEST, io.BytesIO(manifest), len(manifest))
    return manifest


def _stream(objects: Objects, key: str) -> tuple[Readable, int]:
    try:
        return objects.stream(key)
    except NotFoundError as error:
        message = f"{key} was removed while it was to be backed up, as `passerelle prune` does with what nobody needs; run this again"
        raise BusyError(message, hint="passerelle backup") from error


class _Counted:
    """A stream that hashes what is read from it."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self.sha256 = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        try:
            content: bytes = self._stream.read(size)
        except (BotoCoreError, HTTPError) as error:
            raise OutsideError(f"S3 broke off in the middle of an object: {type(error).__name__}; run this command again") from error
        self.sha256.update(content)
        return content


def _added(archive: tarfile.TarFile, name: str, stream: Readable, size: int) -> str:
    """Add a stream to the archive and return its digest."""
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o600
    counted = _Counted(stream)
    archive.addfile(member, counted)
    return "sha256:" + counted.sha256.hexdigest()


def digest_of(stream: Readable) -> str:
    """Return the SHA-256 of a stream."""
    counted = _Counted(stream)
    while counted.read(1 << 20):
        pass
    return "sha256:" + counted.sha256.hexdigest()


def member_of(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    """Return a file of the archive; raises IntegrityError where it holds none of this name."""
    try:
        found = archive.extractfile(name)
    except KeyError:
        found = None
    if found is None:
        raise IntegrityError(f"the backup {os.fsdecode(archive.name or '')} holds no {name}; restore another one", hint=_ANOTHER)
    return found


def checked_manifest(path: Path) -> tuple[dict[str, Any], bytes]:
    """Return the manifest of a backup in which every file has the digest that the manifest gives."""
    try:
        with tarfile.open(path) as archive:
            content = member_of(archive, MANIFEST).read()
            manifest = json.loads(content)
            for name, digest in manifest["digests"].items():
                if digest_of(member_of(archive, name)) != digest:
                    raise IntegrityError(f"{name} in {path} is not what was backed up; restore another backup", hint=_ANOTHER)
            return manifest, content
    except (tarfile.TarError, ValueError, KeyError, EOFError) as error:
        # Of a file that is no archive, a line follows for each kind that it is not.
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(":")
        raise IntegrityError(f"{path} is not a backup, or not a whole one: {reason}", hint=_ANOTHER) from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint="passerelle restore FILE") from error
