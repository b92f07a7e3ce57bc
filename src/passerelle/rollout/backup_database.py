"""Where the database of a backup comes from: the stack's engine, or a container beside PostgreSQL that writes a dump when it is asked."""

from __future__ import annotations

import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from passerelle import __version__
from passerelle.errors import OutsideError
from passerelle.regular_file import read_regular_file
from passerelle.rollout.backup_origin import FORMAT, Origin, origin_of
from passerelle.rollout.stack import Stack

_WAIT_S = 1_800.0
_POLL_S = 0.2


class Database(Protocol):
    """What a backup needs of a database."""

    def origin(self) -> Origin:
        """Return what a backup of it is made with."""

    def dump(self, target: IO[bytes]) -> None:
        """Write a dump in PostgreSQL's custom format."""


@dataclass(frozen=True)
class StackDatabase:
    """The stack's database, through its engine."""

    stack: Stack

    def origin(self) -> Origin:
        """Return what a backup of it is made with; raises OutsideError where PostgreSQL does not answer."""
        return origin_of(self.stack)

    def dump(self, target: IO[bytes]) -> None:
        """Write a dump; raises OutsideError where it fails."""
        self.stack.pipe("exec", "-T", "postgres", "pg_dump", "--username", "mlflow", "--format", "custom", "mlflow", target=target)


@dataclass
class DumpFolder:
    """A folder in which `deploy/backup/dump.sh` answers: it has PostgreSQL's own client, of the server's version.

    Attributes:
        folder: Both containers write to it.
    """

    folder: Path
    wait_s: float = _WAIT_S

    def origin(self) -> Origin:
        """Return what the last dump was made with; raises OutsideError where the folder does not say it."""
        try:
            version, *schema = read_regular_file(self.folder / "origin").decode().split() or ["0"]
            return Origin(FORMAT, __version__, int(version), schema[0] if schema else "")
        except (OSError, ValueError) as error:
            raise OutsideError(f"the version of PostgreSQL that made the dump is unknown: {self.folder / 'origin'}: {error}") from error

    def dump(self, target: IO[bytes]) -> None:
        """Ask for a dump and copy it; it is removed from the folder then.

        Raises:
            OutsideError: It was not made, or nobody answers.
        """
        token = secrets.token_hex(8)
        request = self.folder / f"request.{token}"
        part = self.folder / f".{request.name}"
        part.write_text(token, encoding="utf-8")
        part.rename(request)
        dump, failed = (self.folder / f"{name}.{token}" for name in ("dump", "failed"))
        deadline = time.monotonic() + self.wait_s
        try:
            while not dump.exists():
                if failed.exists():
                    raise OutsideError(
                        f"the database was not dumped: {failed.read_text(encoding='utf-8', errors='replace').strip()[-300:]}"
                    )
                if time.monotonic() > deadline:
                    raise OutsideError(f"nobody dumped the database within {self.wait_s:.0f} s: does the container backup-database run?")
                time.sleep(_POLL_S)
            with dump.open("rb") as source:
                shutil.copyfileobj(source, target, 1 << 20)
        finally:
            for path in (request, dump, failed):
                path.unlink(missing_ok=True)
