"""The environments in the cache: complete or not there, the used ones kept, the Python that a model asks for."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from passerelle.environments import environment, pythons
from passerelle.environments.environment import ensure, keep_within
from passerelle.environments.pythons import find_python
from passerelle.environments.uv import UvFailure
from passerelle.errors import NotFoundError, OutsideError
from passerelle.model.environment import environment_folder
from passerelle.settings import LoadingSettings

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def settings(folder: Path, **given: object) -> LoadingSettings:
    return LoadingSettings.read(environments_dir=folder / "environments", **given)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """What uv was called with; it makes an interpreter and installs nothing, or fails as the first file says."""
    found: list[Sequence[str]] = []

    def fake(arguments: Sequence[str]) -> str | UvFailure:
        found.append(arguments)
        if arguments[0] == "venv":
            python = Path(arguments[-1]) / "bin" / "python"
            python.parent.mkdir(parents=True)
            python.symlink_to(sys.executable)
            return ""
        return UvFailure(("the disk is full",)) if "full" in Path(arguments[-1]).read_text() else ""

    monkeypatch.setattr(environment, "run_uv", fake)
    monkeypatch.setattr(environment, "_compile", lambda _: None)
    return found


def locked(folder: Path, text: str = "numpy==2.3.4\n") -> Path:
    (folder / "environment.txt").write_text(text)
    return folder / "environment.txt"


def test_an_environment_is_made_once(tmp_path: Path, calls: list[Sequence[str]]) -> None:
    lock = locked(tmp_path)
    lines: list[str] = []
    interpreter = ensure(lock, HERE, settings(tmp_path), lines.append)
    assert interpreter == environment_folder(lock, settings(tmp_path)) / "bin" / "python"
    assert interpreter.exists()
    assert "--require-hashes" in calls[1]
    assert ensure(lock, HERE, settings(tmp_path), lines.append) == interpreter
    assert (len(calls), len(lines)) == (2, 1)


def test_one_that_could_not_be_finished_is_not_there(tmp_path: Path, calls: list[Sequence[str]]) -> None:
    lock = locked(tmp_path, "full==1\n")
    with pytest.raises(OutsideError, match="the disk is full"):
        ensure(lock, HERE, settings(tmp_path))
    folder = environment_folder(lock, settings(tmp_path))
    assert [path.name for path in folder.parent.iterdir()] == [f"{folder.name}.lock"]
    # Of a process that was killed, and one whose Python was removed since.
    (folder.parent / f".{folder.name}-00000000").mkdir()
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to("/nowhere/python")
    folder_of_now = environment_folder(locked(tmp_path), settings(tmp_path))
    folder.rename(folder_of_now)
    assert ensure(lock, HERE, settings(tmp_path)).exists()
    assert not list(folder.parent.glob(f".{folder_of_now.name}-*"))


def test_in_an_image_there_is_one_interpreter(tmp_path: Path, calls: list[Sequence[str]]) -> None:
    assert ensure(tmp_path / "environment.txt", "3.9", settings(tmp_path, model_python=sys.executable)) == Path(sys.executable)
    assert calls == []


def test_the_environments_take_no_more_room_than_the_setting_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = settings(tmp_path, environments_max_gib=2 / 2**30 * 1_000)
    for age, name in enumerate(("newest", "in_use", "older", "oldest")):
        folder = given.environments_dir / name
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(b"x" * 900)
        (folder / ".used").touch()
        os.utime(folder / ".used", (1_000_000 - age, 1_000_000 - age))
    monkeypatch.setattr(environment, "_in_use", lambda root: {root / "in_use"})
    assert [path.name for path in keep_within(given)] == ["oldest", "older"]
    assert {path.name for path in given.environments_dir.iterdir()} == {"newest", "in_use"}
    assert keep_within(given) == []


def test_a_python_is_this_one_or_pyenvs_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_python(HERE) == Path(sys.executable)
    monkeypatch.setattr(pythons, "run_uv", lambda *_, **__: UvFailure(("No interpreter found",)))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    for version in ("3.9.9", "3.9.18", "3.10.1"):
        interpreter = tmp_path / "versions" / version / "bin" / "python"
        interpreter.parent.mkdir(parents=True)
        interpreter.touch()
    assert find_python("3.9").parents[1].name == "3.9.18"
    with pytest.raises(NotFoundError, match=r"asks for Python 3\.40, and this machine has none") as refused:
        find_python("3.40")
    assert refused.value.hint == "uv python install 3.40\npasserelle adopt models:/NAME/VERSION --python 3.11"
