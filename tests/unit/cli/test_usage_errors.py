"""What was typed wrongly is explained in plain words, and is no traceback."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from passerelle.cli.main import run


def printed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return what a command that was typed wrongly prints to stderr."""
    with pytest.raises(SystemExit) as ended:
        run(arguments)
    assert ended.value.code == 2
    return " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["promote", "--version", "v2"], "Invalid value for '--version': 'v2' is not a whole number."),
        (["train", "--min-class-rows", "4,5"], "'4,5' is not a whole number."),
        (["promote", "2"], "Got unexpected extra argument (2). Did you mean 'passerelle promote --version 2'?"),
        (["--model", "a", "status"], "--model goes after the command: passerelle COMMAND --model"),
        (["rollback", "--to", "1"], "No such option '--to'."),
    ],
)
def test_what_was_typed_wrongly_is_explained(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(arguments, capsys)
    assert words in text
    assert "Did you mean '--json'" not in text


def test_a_locale_without_the_letter_of_a_setting_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lacking(*_: object) -> None:
        "thème".encode("ascii")

    monkeypatch.setattr("passerelle.project_file.apply_settings", lacking)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "passerelle.toml").touch()
    text = printed(["keys", "list"], capsys)
    assert "the encoding of this locale, ascii, lacks the letter '\\xe8'" in text
    assert "next: export PYTHONUTF8=1" in text


def test_a_closed_standard_input_is_no_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert "cannot name a project" in printed(["new", str(tmp_path / "Été")], capsys)
