"""A command whose output nobody reads ends as a shell says it, and not as what the criteria refuse."""

from __future__ import annotations

import errno
import io
import os
import sys

import pytest

from passerelle.cli import main


class Unread(io.StringIO):
    """A pipe without a reader."""

    def write(self, _: str, /) -> int:
        """Fail."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    def fileno(self) -> int:
        """Return a number that nothing is done with here."""
        return 1


@pytest.mark.parametrize("given", [["--help"], ["train", "--help"]])
def test_output_that_nobody_reads_is_no_refusal(given: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Unread())
    monkeypatch.setattr(os, "dup2", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        main.run(given)
    assert ended.value.code == 141
