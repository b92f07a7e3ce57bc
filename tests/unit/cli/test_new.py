"""`passerelle new` from the command line: answers by options, exit codes, and what it prints to programs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click
import pytest

from passerelle.cli.main import run
from passerelle.cli.options import read_project_settings


def passerelle(*arguments: str) -> int:
    try:
        run(arguments)
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def test_every_answer_is_given_by_an_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "Mes Projets"
    options = ["--name", "motifs", "--language", "en", "--text-column", "words", "--label-column", "class", "--target", "compose"]
    assert passerelle("new", str(folder), *options, "--dry-run", "--json") == 0
    planned = json.loads(capsys.readouterr().out)
    assert not folder.exists()
    assert passerelle("new", str(folder), *options, "--json") == 0
    assert json.loads(capsys.readouterr().out) == planned | {"dry_run": False}
    assert (folder / "training/data/comments.en.csv").read_text().startswith("id,words,class\n")
    assert passerelle("new", str(folder), *options) == 2
    assert f"next: passerelle new '{folder}' --update" in capsys.readouterr().err


def test_a_name_that_cannot_be_used_is_refused_with_one_that_can(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert passerelle("new", str(tmp_path / "Été 2026")) == 2
    assert f"passerelle new '{tmp_path}/Été 2026' --name ete-2026" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_update_shows_first_and_writes_on_yes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "a"
    assert passerelle("new", str(folder), "--yes") == 0
    (folder / "service.py").unlink()
    capsys.readouterr()
    assert passerelle("new", str(folder), "--update") == 0
    shown = capsys.readouterr().out
    assert "+++ b/service.py" in shown
    assert "service.py: would be added" in shown
    assert f"next: passerelle new {folder} --update --yes" in shown
    assert not (folder / "service.py").exists()
    assert passerelle("new", str(folder), "--update", "--yes") == 0
    assert "service.py: added" in capsys.readouterr().out
    assert passerelle("new", str(folder), "--update", "--language", "en") == 2
    assert "passerelle.toml" in capsys.readouterr().err


def test_the_settings_of_the_project_that_is_named_take_the_place_of_those_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PASSERELLE_REGISTERED_MODEL", raising=False)
    monkeypatch.setenv("PASSERELLE_EXPERIMENT", "of-the-environment")
    context = click.Context(click.Command("demo"))
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "passerelle.toml").write_text(f'[settings]\nregistered_model = "{name}"\nexperiment = "{name}"\n')
        read_project_settings(context, None, tmp_path / name)
        assert os.environ["PASSERELLE_REGISTERED_MODEL"] == name
        assert os.environ["PASSERELLE_EXPERIMENT"] == "of-the-environment"
    context.close()
    assert "PASSERELLE_REGISTERED_MODEL" not in os.environ
    assert os.environ["PASSERELLE_EXPERIMENT"] == "of-the-environment"


def test_in_a_terminal_what_no_option_answers_is_asked_in_at_most_five_questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def prompt(question: str, **how: object) -> object:
        asked.append(question)
        return "table" if "table" in question else how["default"]

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(click, "prompt", prompt)
    assert passerelle("new", str(tmp_path / "Mes Demandes")) == 0
    assert len(asked) == 5
    assert 'name = "mes-demandes"' in (tmp_path / "Mes Demandes" / "passerelle.toml").read_text()
    assert (tmp_path / "Mes Demandes" / "training/data/requests.csv").is_file()
    asked.clear()
    options = ["--name", "a", "--language", "fr", "--table", "--label-column", "y", "--target", "compose"]
    assert passerelle("new", str(tmp_path / "b"), *options) == 0
    assert asked == []
