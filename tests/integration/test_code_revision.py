"""The revision of the serving code, of real checkouts."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from passerelle.bentos.code_revision import code_revision

pytestmark = pytest.mark.integration


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    project = tmp_path / "checkout" / "project"
    project.mkdir(parents=True)
    for name in ("service.py", "README.md"):
        (project / name).write_text("1\n")
    for arguments in (["init", "--quiet"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "a"]):
        subprocess.run(["git", "-C", str(project.parent), *arguments], check=True, timeout=30)
    return project


def test_only_files_of_the_bento_make_it_dirty(checkout: Path) -> None:
    service = checkout / "service.py"
    commit = code_revision(checkout, [service])
    assert len(commit) == 40
    (checkout / "README.md").write_text("2\n")
    (checkout / "notes.txt").write_text("new\n")
    assert code_revision(checkout, [service]) == commit
    service.write_text("2\n")
    assert code_revision(checkout, [service]) == f"{commit}-dirty"


def test_a_new_file_that_enters_the_bento_makes_it_dirty(checkout: Path) -> None:
    (checkout / "more.py").write_text("1\n")
    assert code_revision(checkout, [checkout / "service.py", checkout / "more.py"]).endswith("-dirty")


def test_there_is_none_outside_of_a_checkout(checkout: Path, tmp_path: Path) -> None:
    assert code_revision(tmp_path, []) == ""
    untracked = checkout / "by chance"
    untracked.mkdir()
    assert code_revision(untracked, []) == ""
