"""The closing lines name the programs so that they can be typed: with the environment activated, and without."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from passerelle.cli.typed_program import make_or, typed


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an environment of its own, which this process runs in and nobody activated."""
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "passerelle"):
        (programs / name).write_text("")
        (programs / name).chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(programs / "python"))
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_program_is_typed_by_its_path_unless_the_shell_finds_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert typed() == ".venv/bin/passerelle"
    assert typed("mlflow") == "mlflow", "it is not in this environment"
    (project / "below").mkdir()
    monkeypatch.chdir(project / "below")
    assert typed() == str(project / ".venv" / "bin" / "passerelle")
    monkeypatch.setenv("PATH", str(project / ".venv" / "bin"))
    assert typed() == "passerelle"


def test_another_program_of_this_name_on_the_path_is_not_meant(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = project / "other"
    other.mkdir()
    (other / "passerelle").write_text("")
    (other / "passerelle").chmod(0o755)
    monkeypatch.setenv("PATH", str(other))
    assert typed() == ".venv/bin/passerelle"


def test_make_is_named_where_it_has_the_target(project: Path) -> None:
    assert make_or("up") == ".venv/bin/passerelle up"
    (project / "Makefile").write_text("demo:\n\techo\nup: demo\n\techo\n")
    assert make_or("up") == "make up"
