"""What the operating system refuses is a sentence of ours, and a usage error where the arguments name the file."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from passerelle.cli import main
from passerelle.errors import OutsideError, UsageError
from passerelle.stages.promote_options import PromoteOptions


@pytest.mark.parametrize("given", [["trace", "--report", "/nowhere/r.html"], ["trace", "--report=/nowhere/r.html"]])
def test_a_named_file_that_cannot_be_written_is_said_without_a_traceback(
    given: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(**_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "/nowhere/r.html")

    monkeypatch.setattr(main.passerelle, "main", fails)
    with pytest.raises(SystemExit) as ended:
        main.run(given)
    assert ended.value.code == UsageError.exit_code
    assert capsys.readouterr().err == "passerelle: /nowhere/r.html cannot be used: Permission denied\n  next: ls -ld /nowhere\n"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/a/b c"), "/a/b c cannot be used: Permission denied\n  next: ls -ld /a\n"),
        (OSError(errno.EIO, "Input/output error", b"/a/b"), "/a/b cannot be used: Input/output error\n  next: ls -ld /a\n"),
        (
            OSError(errno.EMFILE, "Too many open files"),
            "the operating system refuses: Too many open files\n  next: ulimit -n; cat /proc/sys/fs/file-nr\n",
        ),
        (OSError(errno.EBADF, "Bad file descriptor", 7), "the operating system refuses: Bad file descriptor\n  next: passerelle doctor\n"),
    ],
)
def test_what_the_system_refuses_of_another_file_is_said_without_a_traceback(
    error: OSError, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(**_: object) -> None:
        raise error

    monkeypatch.setattr(main.passerelle, "main", fails)
    with pytest.raises(SystemExit) as ended:
        main.run(["trace"])
    assert ended.value.code == OutsideError.exit_code
    assert capsys.readouterr().err == f"passerelle: {message}"


def test_an_error_of_a_library_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(**_: object) -> None:
        raise OSError("of a library")

    monkeypatch.setattr(main.passerelle, "main", fails)
    with pytest.raises(OSError, match="of a library"):
        main.run(["trace"])


def test_a_report_in_no_folder_is_refused_before_the_gate_judges(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist") as refused:
        PromoteOptions(report=tmp_path / "none" / "r.html").check()
    assert refused.value.hint == f"mkdir -p {tmp_path}/none"
    PromoteOptions(report=tmp_path / "r.html").check()
