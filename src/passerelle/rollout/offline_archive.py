"""One file with all that an installation without a network needs: written whole, and taken out only once all of it was checked."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from passerelle.errors import IntegrityError, OutsideError, UsageError, shell_word

CONTENTS, SIGNATURE_NAME, IMAGES = "bundle.json", "bundle.sig.json", "images.tar"
WHEELS = "wheels"
#: What the signature is for, in the place of a run.
SIGNED_AS = "passerelle-bundle"
_FORMAT = 1
_MOST_CONTENTS_BYTES = 4 << 20
_CHUNK_BYTES = 1 << 20
_FILE_NAME = re.compile(rf"{re.escape(IMAGES)}|{WHEELS}/[A-Za-z0-9][\w.+!-]*\.whl", re.ASCII)
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")
_AGAIN = "passerelle bundle FILE"


@dataclass(frozen=True)
class FileDigest:
    """A file of the archive."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Contents:
    """What the archive says that it holds; a signature is for this.

    Attributes:
        machine: Architecture of the images and wheels, as images name it.
        python: That the wheels are for, such as 3.11.
        images: SHA-256 of the digests of each image's layers, by the image's name.
        files: By the name in the archive, in the archive's order.
    """

    passerelle: str
    machine: str
    python: str
    images: Mapping[str, str]
    files: Mapping[str, FileDigest]

    def as_json(self) -> dict[str, object]:
        """Return the content of the archive's first file."""
        return {"format": _FORMAT, **asdict(self)}

    @property
    def size_bytes(self) -> int:
        """Of all files together."""
        return sum(each.size_bytes for each in self.files.values())


def digests_below(folder: Path) -> dict[str, FileDigest]:
    """Return the digest of each file below a folder, by its path in it."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        found[path.relative_to(folder).as_posix()] = FileDigest(f"sha256:{digest}", path.stat().st_size)
    return found


def write_archive(path: Path, folder: Path, contents: Contents, signature: str | None) -> None:
    """Write the files of a folder to an archive, after what it holds and the signature of that."""
    with tarfile.open(path, "w") as archive:
        _add(archive, CONTENTS, json.dumps(contents.as_json(), sort_keys=True, indent=1).encode())
        if signature is not None:
            _add(archive, SIGNATURE_NAME, signature.encode())
        for name in contents.files:
            archive.add(folder / name, name, recursive=False, filter=_of_nobody)


def take_out(path: Path, folder: Path, check: Callable[[Contents, str | None], None]) -> Contents:
    """Write the files of an archive to an empty folder, and return what it holds; nothing of it may be used where this raises.

    Args:
        check: Given what the archive says that it holds, and the signature of that, before any other file is read.

    Raises:
        IntegrityError: The archive was cut short or changed, or is none.
        UsageError: It cannot be read.
        OutsideError: The disk has no room for its files.
    """
    try:
        with tarfile.open(path, "r:") as archive:
            members = iter(archive)
            contents = contents_of(_small(archive, next(members, None), CONTENTS))
            if path.stat().st_size < contents.size_bytes:
                raise _changed(f"its files take {contents.size_bytes:,} bytes, and it has {path.stat().st_size:,}")
            member = next(members, None)
            signature = _small(archive, member, SIGNATURE_NAME) if member is not None and member.name == SIGNATURE_NAME else None
            check(contents, signature.decode() if signature is not None else None)
            _check_room(folder, contents)
            member = next(members, None) if signature is not None else member
            for name, expected in contents.files.items():
                _take_out_one(archive, member, name, expected, folder)
                member = next(members, None)
            if member is not None:
                raise _changed(f"it holds {member.name!r}, of which it does not say that it holds it")
    except (tarfile.TarError, EOFError, UnicodeDecodeError) as error:
        raise _changed(f"it is no whole archive ({error})") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint=f"ls -l {shell_word(path)}") from error
    return contents


def contents_of(content: bytes) -> Contents:
    """Return what the archive's first file says, checked part by part.

    Raises:
        IntegrityError: It is not what `bundle` writes.
    """
    try:
        parsed: dict[str, Any] = json.loads(content)
        if parsed.pop("format") != _FORMAT:
            raise _changed("it is of another version of passerelle")
        files = {str(name): FileDigest(**each) for name, each in parsed.pop("files").items()}
        found = Contents(**parsed, files=files)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _changed(f"its {CONTENTS} is not what passerelle writes") from error
    texts = (found.passerelle, found.machine, found.python, *found.images, *found.images.values())
    digests = all(isinstance(each.sha256, str) and _SHA256.fullmatch(each.sha256) for each in files.values())
    sizes = all(type(each.size_bytes) is int and each.size_bytes >= 0 for each in files.values())
    if not (all(isinstance(text, str) for text in texts) and digests and sizes and all(map(_FILE_NAME.fullmatch, files))):
        raise _changed(f"its {CONTENTS} names a file or a digest that passerelle does not write")
    return found


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = _of_nobody(tarfile.TarInfo(name))
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def _of_nobody(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Return the member without who made it and when: the same files give the same archive."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    member.mode = 0o644
    return member


def _small(archive: tarfile.TarFile, member: tarfile.TarInfo | None, name: str) -> bytes:
    file = _file(archive, member, name)
    content = file.read(_MOST_CONTENTS_BYTES + 1)
    if len(content) > _MOST_CONTENTS_BYTES or member is None or len(content) != member.size:
        raise _changed(f"its {name} is cut short or too long")
    return content


def _file(archive: tarfile.TarFile, member: tarfile.TarInfo | None, name: str) -> IO[bytes]:
    file = archive.extractfile(member) if member is not None and member.name == name and member.isreg() else None
    if file is None:
        raise _changed(f"{name} is missing, or not in its place")
    return file


def _take_out_one(archive: tarfile.TarFile, member: tarfile.TarInfo | None, name: str, expected: FileDigest, folder: Path) -> None:
    source = _file(archive, member, name)
    target, digest, size = folder / name, hashlib.sha256(), 0
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        while (chunk := source.read(_CHUNK_BYTES)) and size <= expected.size_bytes:
            digest.update(chunk)
            size += len(chunk)
            file.write(chunk)
    if (f"sha256:{digest.hexdigest()}", size) != (expected.sha256, expected.size_bytes):
        raise _changed(f"{name} is not the file that was written ({size:,} of {expected.size_bytes:,} bytes)")


def _check_room(folder: Path, contents: Contents) -> None:
    free = shutil.disk_usage(folder).free
    if contents.size_bytes > free:
        raise OutsideError(f"the archive's files take {contents.size_bytes:,} bytes, and {folder} has room for {free:,}", hint="df -h")


def _changed(what: str) -> IntegrityError:
    return IntegrityError(f"the archive was cut short or changed, and nothing of it was used: {what}; copy it again", hint=_AGAIN)
