"""What the worker that polls tells the others, in files of one folder that are replaced in one step."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from passerelle.regular_file import read_regular_file

#: Names the version that all workers serve, and the number of the ledger's entry that put it there.
CURRENT = "current.json"
_STATE, _ATTEMPT = "state.json", "attempt.json"


@dataclass(frozen=True)
class Published:
    """The version that all workers serve.

    Attributes:
        folder: Name of its folder below `versions`.
        ledger_number: Of the ledger's entry that put it there; 0 without a ledger.
        backed_out: Of a candidate: why no requests are sent to it any longer.
    """

    version: int
    run_id: str
    artifact_digest: str
    folder: str
    ledger_number: int = 0
    backed_out: str = ""


@dataclass(frozen=True)
class FollowState:
    """Where the last poll left matters.

    Attributes:
        state: `in_step`; `none`, where there is no candidate; `refused`, where the alias points to a version that is not served;
            `not_reached`, where the registry cannot be asked or has no such alias; `starting` before the first poll.
        alias_version: Where the alias points to, as far as that is known.
        code: Short name of what is wrong; empty where nothing is.
        message: One sentence for people.
        hint: The next command.
    """

    state: str = "starting"
    alias_version: int | None = None
    code: str = ""
    message: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Attempt:
    """A load that was begun: where its worker is killed, it is found unfinished."""

    folder: str
    count: int


_PUBLISHED, _FOLLOW_STATE, _ATTEMPTED = TypeAdapter(Published), TypeAdapter(FollowState), TypeAdapter(Attempt)


class Board:
    """The files of one target.

    Args:
        folder: Of the target; made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.versions = folder / "versions"

    def make(self) -> None:
        """Make the folders."""
        self.versions.mkdir(parents=True, exist_ok=True)

    def published(self) -> Published | None:
        """Return what is served; None where nothing was published, or the file cannot be read."""
        content = self._read(CURRENT)
        try:
            found = _PUBLISHED.validate_json(content, strict=True) if content else None
        except ValueError:
            return None
        # A name, and no path that leads elsewhere.
        return found if found and found.folder == Path(found.folder).name else None

    def publish(self, published: Published) -> None:
        """Let all workers serve this version."""
        self._write(CURRENT, json.dumps(asdict(published)))

    def state(self) -> FollowState:
        """Return where the last poll left matters."""
        content = self._read(_STATE)
        try:
            return _FOLLOW_STATE.validate_json(content, strict=True) if content else FollowState()
        except ValueError:
            return FollowState()

    def tell(self, state: FollowState) -> None:
        """Tell the other workers where a poll left matters, and that there was one."""
        self._write(_STATE, json.dumps(asdict(state), ensure_ascii=False))

    def changed(self) -> tuple[int, int]:
        """Return when the published version and the state were written last, in nanoseconds; 0 for never."""
        return self._written(CURRENT), self._written(_STATE)

    def attempt(self, folder: str) -> int:
        """Note that the load of a version begins, and return how many loads of it were begun and not ended, this one included."""
        content, count = self._read(_ATTEMPT), 0
        try:
            former = _ATTEMPTED.validate_json(content, strict=True) if content else None
            count = former.count if former and former.folder == folder else 0
        except ValueError:
            pass
        self._write(_ATTEMPT, json.dumps(asdict(Attempt(folder, count + 1))))
        return count + 1

    def attempted(self) -> None:
        """Note that the load ended."""
        (self.folder / _ATTEMPT).unlink(missing_ok=True)

    def _read(self, name: str) -> bytes | None:
        try:
            return read_regular_file(self.folder / name)
        except OSError:
            return None

    def _write(self, name: str, content: str) -> None:
        partial = self.folder / f"{name}.{os.getpid()}"
        partial.write_text(content, encoding="utf-8")
        partial.replace(self.folder / name)

    def _written(self, name: str) -> int:
        try:
            return (self.folder / name).stat().st_mtime_ns
        except OSError:
            return 0
