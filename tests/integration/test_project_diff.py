"""The diff that an update of a project shows is one that git applies."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from passerelle.project import create, render, update
from passerelle.project.answers import answers

pytestmark = pytest.mark.integration


def test_the_diff_is_one_that_git_applies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = create.create(tmp_path / "a", answers("a")).folder
    files = render.render(answers("a")) | {"service.py": b"# theirs", "other/new.py": b"1\n"}
    del files["Makefile"]
    monkeypatch.setattr(update, "render", lambda _: files)
    monkeypatch.setattr(update, "__version__", "0.2.0")
    diff = "".join(change.diff for change in update.update(project).changes)
    subprocess.run(["git", "apply", "-"], cwd=project, input=diff, text=True, check=True, timeout=20)
    assert (project / "service.py").read_bytes() == b"# theirs"
    assert (project / "other" / "new.py").read_bytes() == b"1\n"
    assert not (project / "Makefile").exists()
