"""A version's files: streamed to disk beside the ones that are served, hashed on the way, and kept only where the manifest names them."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Protocol

from passerelle.errors import TRAIN_AGAIN, shell_word
from passerelle.model.adoption import ADOPTION_FILE, LOCK_FILE
from passerelle.model.manifest import ADOPTED, digest_of_file, digest_of_manifest, is_of_the_pipeline
from passerelle.names import BUNDLE, GOLDEN, MANIFEST, MANIFEST_FILE, MODEL_FOLDER, SIGNATURE, SIGNATURE_FILE
from passerelle.serving.following.failures import NotReachedError, VersionRefusedError
from passerelle.serving.following.mlflow_rest import AliasedVersion, MlflowRest

_PIECE_BYTES = 65_536
#: A manifest or a signature is a few KB.
_MOST_SMALL_BYTES = 1_048_576
_MOST_MEMBERS = 10_000
#: Left free on the disk for everybody else.
_SPARE_BYTES = 33_554_432
#: Files beside the model's own, which the manifest names too: those of an adoption only where the version was adopted.
_BESIDE = frozenset({GOLDEN, ADOPTION_FILE, LOCK_FILE})
_FULL = {errno.ENOSPC, errno.EDQUOT}


class Stream(Protocol):
    """What is read in pieces."""

    def read(self, size: int = ..., /) -> bytes:
        """Return that many bytes, or fewer at the end."""


class Download:
    """The download of one version into a folder of its own; what is complete stays for the next attempt.

    Args:
        mlflow: Where from.
        version: What.
        digest: The artifact digest that the manifest must have.
        folder: Where to; laid out as a bento model's directory.
        most_bytes: The most that is written.
    """

    def __init__(self, mlflow: MlflowRest, version: AliasedVersion, digest: str, folder: Path, most_bytes: int) -> None:
        self._mlflow = mlflow
        self._version = version
        self._digest = digest
        self._folder = folder
        self._left_bytes = most_bytes
        self._manifest: Mapping[str, str] = {}

    def run(self) -> None:
        """Download what is missing.

        Raises:
            NotReachedError: The server broke off, or the disk is full for now.
            VersionRefusedError: The version is too large, or holds other files than were registered.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._read_manifest()
            if not self._complete():
                self._take_bundle()
            self._take_what_is_missing()
        except OSError as error:
            raise not_written(self._folder, error) from error

    def _read_manifest(self) -> None:
        """Take the manifest from an attempt before; a bundle brings its own."""
        path = self._folder / MANIFEST_FILE
        if path.is_file():
            self._manifest = self._checked_manifest(path.read_bytes())

    def _complete(self) -> bool:
        return bool(self._manifest) and not list(self._missing())

    def _take_bundle(self) -> None:
        """Take all that the bundle holds; a version that was registered without one is taken file by file."""
        try:
            with self._mlflow.run_artifact(self._version.run_id, BUNDLE) as pieces:
                self._check_room(pieces.size_bytes)
                self._unpack(pieces)
        except NotReachedError as error:
            # MLflow says HTTP 500 of a file that is not there.
            if error.code != "server_error":
                raise
        except (VersionRefusedError, tarfile.TarError, EOFError) as error:
            # Nothing vouches for the bundle: what counts is each file's digest, and the files lie in the registry one by one as well.
            if isinstance(error, VersionRefusedError) and error.code == "size":
                raise
        if not self._manifest:
            with self._mlflow.run_artifact(self._version.run_id, MANIFEST) as pieces:
                self._keep_manifest(pieces)

    def _unpack(self, stream: Stream) -> None:
        with tarfile.open(fileobj=stream, mode="r|") as archive:  # type: ignore[call-overload]
            for place, member in enumerate(archive):
                if place > _MOST_MEMBERS or not member.isfile():
                    raise self._unexpected(member.name)
                content = archive.extractfile(member)
                if content is None:
                    raise self._unexpected(member.name)
                if place == 0:
                    if member.name != MANIFEST_FILE:
                        raise self._unexpected(member.name)
                    self._keep_manifest(content)
                elif member.name == SIGNATURE_FILE:
                    self._write(self._folder / SIGNATURE_FILE, _small(content, SIGNATURE_FILE))
                else:
                    self._keep(member.name, content)

    def _keep_manifest(self, content: Stream) -> None:
        body = _small(content, MANIFEST_FILE)
        self._manifest = self._checked_manifest(body)
        self._write(self._folder / MANIFEST_FILE, body)

    def _checked_manifest(self, body: bytes) -> Mapping[str, str]:
        """Return the digest of each file by its place below the folder."""
        try:
            manifest = json.loads(body)
            digest = digest_of_manifest(manifest)
            files = {f"{MODEL_FOLDER}/{name}": str(digest) for name, digest in dict(manifest["files"]).items()}
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise VersionRefusedError("manifest", "the manifest cannot be read", hint=TRAIN_AGAIN) from error
        if digest != self._digest:
            raise VersionRefusedError("manifest", "the manifest is not the one that was recorded at registration", hint=TRAIN_AGAIN)
        adopted = manifest.get(ADOPTED, {})
        if not isinstance(adopted, dict) or not adopted.keys() <= {ADOPTION_FILE, LOCK_FILE}:
            raise VersionRefusedError("manifest", "the manifest names another record than that of an adoption", hint=TRAIN_AGAIN)
        if any(".." in PurePosixPath(name).parts or name.startswith("/") for name in files):
            raise VersionRefusedError("manifest", "the manifest names a file outside of the model's folder", hint=TRAIN_AGAIN)
        return files | {GOLDEN: str(manifest.get("golden"))} | {name: str(digest) for name, digest in adopted.items()}

    def _take_what_is_missing(self) -> None:
        for name in self._missing():
            inside = name.removeprefix(f"{MODEL_FOLDER}/")
            source = (
                self._mlflow.run_artifact(self._version.run_id, name)
                if name in _BESIDE
                else self._mlflow.model_file(self._version.registered_model, self._version.version, inside)
            )
            with source as pieces:
                self._check_room(pieces.size_bytes)
                self._keep(name, pieces)

    def take_signature(self) -> None:
        """Take the manifest's signature, unless the bundle held it; whether there must be one is decided when the model is loaded.

        Raises:
            NotReachedError: As `run`.
        """
        if (self._folder / SIGNATURE_FILE).is_file():
            return
        with self._mlflow.run_artifact(self._version.run_id, SIGNATURE) as pieces:
            self._write(self._folder / SIGNATURE_FILE, _small(pieces, SIGNATURE_FILE))

    def _missing(self) -> Iterator[str]:
        """Yield the files that are still to be downloaded; of a compiled model none that only its pipeline needs."""
        inside = [name.removeprefix(f"{MODEL_FOLDER}/") for name in self._manifest if name not in _BESIDE]
        needed = [f"{MODEL_FOLDER}/{name}" for name in inside if not is_of_the_pipeline(name, inside)]
        yield from (name for name in sorted([*needed, *_BESIDE.intersection(self._manifest)]) if not (self._folder / name).is_file())

    def _keep(self, name: str, content: Stream) -> None:
        """Write a file under its name once all of it is there and its digest is the manifest's."""
        expected, target = self._manifest.get(name), self._folder / name
        if expected is None:
            raise self._unexpected(name)
        if target.is_file() and digest_of_file(target) == expected:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        partial, digest = target.with_name(f"{target.name}.partial"), hashlib.sha256()
        with partial.open("wb") as file:
            while piece := content.read(_PIECE_BYTES):
                self._spend(len(piece))
                digest.update(piece)
                file.write(piece)
        if f"sha256:{digest.hexdigest()}" != expected:
            partial.unlink()
            message = f"the file {name} is not the one that was registered"
            raise VersionRefusedError("digest", message, hint=TRAIN_AGAIN)
        partial.replace(target)

    def _write(self, path: Path, content: bytes) -> None:
        self._spend(len(content))
        partial = path.with_name(f"{path.name}.partial")
        partial.write_bytes(content)
        partial.replace(path)

    def _spend(self, size: int) -> None:
        self._left_bytes -= size
        if self._left_bytes < 0:
            message = f"{self._version.registered_model} version {self._version.version} is larger than PASSERELLE_FOLLOW_MAX_BYTES allows"
            raise VersionRefusedError("size", message, hint="export PASSERELLE_FOLLOW_MAX_BYTES=4294967296")

    def _check_room(self, announced: int | None) -> None:
        """Check that the limit and the disk have room for what is announced, before any of it is read."""
        if announced is None:
            return
        if announced > self._left_bytes:
            self._spend(announced)
        free = shutil.disk_usage(self._folder).free
        if announced + _SPARE_BYTES > free:
            message = f"the disk of {self._folder} has {free:,} bytes free, and the version takes {announced:,}"
            raise NotReachedError("disk", message, hint="df -h")

    def _unexpected(self, name: str) -> VersionRefusedError:
        return VersionRefusedError("manifest", f"the bundle holds {name[:80]!r}, which the manifest does not name", hint=TRAIN_AGAIN)


def _small(content: Stream, what: str) -> bytes:
    body = b""
    while piece := content.read(_PIECE_BYTES):
        body += piece
        if len(body) > _MOST_SMALL_BYTES:
            raise VersionRefusedError("size", f"{what} is larger than {_MOST_SMALL_BYTES:,} bytes", hint=TRAIN_AGAIN)
    return body


def not_written(folder: Path, error: OSError) -> NotReachedError:
    """Return what keeps a folder from being written to, with the command that shows it."""
    if error.errno in _FULL:
        return NotReachedError("disk", f"the disk of {folder} is full", hint="df -h")
    return NotReachedError(
        "disk", f"{folder} cannot be written: {error.strerror or type(error).__name__}", hint=f"ls -ld {shell_word(folder)}"
    )


def remove(folder: Path) -> None:
    """Remove a version's files; a model that is loaded from them keeps what it has mapped."""
    gone = folder.with_name(f"{folder.name}.removed-{os.getpid()}")
    try:
        folder.replace(gone)
    except OSError:
        return
    shutil.rmtree(gone, ignore_errors=True)
