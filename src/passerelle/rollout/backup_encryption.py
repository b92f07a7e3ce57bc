"""Backups that are encrypted with age (https://age-encryption.org) for a public key: what writes them cannot read them."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pyrage

from passerelle.errors import IntegrityError, UsageError, shell_word
from passerelle.regular_file import read_regular_file

SUFFIX = ".age"
_BEGINNING = b"age-encryption.org/"
_MOST_KEY_BYTES = 65_536
_MAKE = "passerelle backup --make-key backup.key"


def make_identity(path: Path) -> str:
    """Write a new private key, which only this user can read, and return its public key.

    Raises:
        UsageError: There is such a file already: a backup may need it.
    """
    identity = pyrage.x25519.Identity.generate()
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(f"# public key: {identity.to_public()}\n{identity}\n")
    except FileExistsError as error:
        raise UsageError(f"{path} is there already, and backups may need it; name another file", hint=_MAKE) from error
    return str(identity.to_public())


def parsed_recipients(texts: Sequence[str]) -> list[pyrage.x25519.Recipient]:
    """Return the public keys, `age1…`, for which a backup is encrypted.

    Raises:
        UsageError: One is none; a private key is not repeated in the message.
    """
    found = []
    for text in texts:
        try:
            found.append(pyrage.x25519.Recipient.from_str(text.strip()))
        except pyrage.RecipientError as error:
            what = "a private key" if text.strip().upper().startswith("AGE-SECRET-KEY") else f"'{text.strip()[:80]}'"
            raise UsageError(f"{what} is no public key of age, which begins with age1", hint=_MAKE) from error
    return found


@contextmanager
def archive_file(path: Path, recipients: Sequence[str]) -> Iterator[IO[bytes]]:
    """Yield a file to write an archive to; with recipients, nothing of it is on the disk but encrypted.

    Raises:
        UsageError: As `parsed_recipients`.
    """
    keys = parsed_recipients(recipients)
    if not keys:
        with path.open("wb") as plain:
            yield plain
        return
    read_end, write_end = os.pipe()
    problems: list[BaseException] = []

    def encrypt() -> None:
        with os.fdopen(read_end, "rb") as source, path.open("wb") as target:
            try:
                pyrage.encrypt_io(source, target, keys)
            except BaseException as error:  # noqa: BLE001 - raised again in the other thread
                problems.append(error)

    thread = threading.Thread(target=encrypt, daemon=True)
    thread.start()
    try:
        with os.fdopen(write_end, "wb") as plain:
            yield plain
    finally:
        thread.join()
    if problems:
        raise problems[0]


@contextmanager
def plain_archive(path: Path, identity: Path | None) -> Iterator[Path]:
    """Yield the archive as it was before it was encrypted; of one that is not encrypted, its own path.

    Args:
        identity: File with the private key.

    Raises:
        UsageError: It is encrypted and no key was named, or the file holds none.
        IntegrityError: It was encrypted for another key, or changed since.
    """
    key = private_key(path, identity)
    if key is None:
        yield path
        return
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        plain = Path(folder) / path.name.removesuffix(SUFFIX)
        try:
            with path.open("rb") as source, plain.open("wb") as target:
                pyrage.decrypt_io(source, target, [key])
        except (pyrage.DecryptError, OSError) as error:
            message = f"{path} cannot be decrypted with the key in {identity}: it is for another key, or was changed or cut short"
            raise IntegrityError(message, hint="passerelle restore FILE --identity backup.key") from error
        yield plain


def private_key(path: Path, identity: Path | None) -> pyrage.x25519.Identity | None:
    """Return the private key that a backup is decrypted with; None for one that is not encrypted.

    Raises:
        UsageError: As `plain_archive`.
    """
    if not _encrypted(path):
        return None
    if identity is None:
        raise UsageError(
            f"{path} is encrypted; name the file of its private key", hint=f"passerelle restore {shell_word(path)} --identity backup.key"
        )
    return _identity(identity)


def _encrypted(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_BEGINNING)) == _BEGINNING
    except OSError:
        return False  # whoever reads it next says why


def _identity(path: Path) -> pyrage.x25519.Identity:
    hint = "passerelle restore FILE --identity backup.key"
    try:
        lines = read_regular_file(path, most_bytes=_MOST_KEY_BYTES).decode().splitlines()
        return pyrage.x25519.Identity.from_str(next(line.strip() for line in lines if line.startswith("AGE-SECRET-KEY-")))
    except (OSError, ValueError, StopIteration, pyrage.IdentityError) as error:
        raise UsageError(f"{path} holds no private key of age", hint=hint) from error
