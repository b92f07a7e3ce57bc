"""A file that the arguments name and that cannot be used is an error of ours; any other file's error stays what it is."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from passerelle.cli import main
from passerelle.errors import UsageError
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
    with pytest.raises(PermissionError):
        main.run(["trace"])


def test_a_report_in_no_folder_is_refused_before_the_gate_judges(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist") as refused:
        PromoteOptions(report=tmp_path / "none" / "r.html").check()
    assert refused.value.hint == f"mkdir -p {tmp_path}/none"
    PromoteOptions(report=tmp_path / "r.html").check()
