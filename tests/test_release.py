"""A release: notes, checksums, the same bytes for the same commit, and the licences of what is locked."""

from __future__ import annotations

import hashlib
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n### Added\n- Next.\n\n## [1.2.0] - 2026-01-01\n\n- Now.\n\n## [1.1.0]\n\n- Before.\n"


@pytest.fixture(scope="module")
def release() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / ".ci" / "release.py"))


@pytest.fixture(scope="module")
def licences() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / ".ci" / "licences.py"))


def test_the_notes_are_the_section_of_the_version(release: dict[str, Any]) -> None:
    assert release["notes_of"](CHANGELOG, "1.2.0") == "- Now.\n"
    assert release["notes_of"](CHANGELOG, "1.1.0") == "- Before.\n"
    assert release["notes_of"](CHANGELOG, "1.3.0") == "### Added\n- Next.\n", "a trial before the section has the version's name"
    for changelog, tagged in (("# Changelog\n", False), (CHANGELOG, True)):
        with pytest.raises(SystemExit, match=r"no section for 1\.3\.0"):
            release["notes_of"](changelog, "1.3.0", tagged=tagged)


def test_a_tag_of_another_version_is_refused(release: dict[str, Any]) -> None:
    release["check_tag"]("1.2.0", ["v1.2.0"])
    with pytest.raises(SystemExit, match=r"the tag v1\.3\.0, and the version is 1\.2\.0"):
        release["check_tag"]("1.2.0", ["v1.3.0"])


def test_both_places_of_the_version_agree(release: dict[str, Any], tmp_path: Path) -> None:
    from passerelle import __version__

    assert release["version_of"](ROOT) == __version__
    (tmp_path / "src" / "passerelle").mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.0.0"\n')
    (tmp_path / "src" / "passerelle" / "__init__.py").write_text('__version__ = "1.0.1"\n')
    with pytest.raises(SystemExit, match=r"1\.0\.0, and src/passerelle/__init__\.py has 1\.0\.1"):
        release["version_of"](tmp_path)


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, timeout=120)


def clone(folder: Path) -> Path:
    """Return a clone of the commit that is checked out here, with the files as they are here."""
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(folder)], check=True, timeout=120)
    return folder


@pytest.mark.integration
def test_the_same_commit_gives_the_same_bytes(release: dict[str, Any], tmp_path: Path) -> None:
    sums = []
    for name in ("one", "two"):
        root = clone(tmp_path / name / "repository")
        if name == "two":  # what Git is told to overlook
            (root / ".git" / "info" / "exclude").write_text("mine.py\n")
            (root / "src" / "passerelle" / "mine.py").write_text("SECRET = 1\n")
            git(root, "update-index", "--assume-unchanged", "src/passerelle/errors.py")
            (root / "src" / "passerelle" / "errors.py").write_text("SECRET = 1\n")
        release["write_release"](root, root / "release")
        sums.append((root / "release" / "SHA256SUMS").read_text())
        names = {line.split("  ")[1] for line in sums[-1].splitlines()}
        assert {"NOTES.md", "sbom.cdx.json"} < names
        assert {Path(each).suffix for each in names if each.startswith("packages/")} == {".whl", ".gz"}
        for line in sums[-1].splitlines():
            digest, _, path = line.partition("  ")
            assert hashlib.sha256((root / "release" / path).read_bytes()).hexdigest() == digest
    assert sums[0] == sums[1]


def test_a_changed_file_is_no_release(release: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "src" / "passerelle").mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.0.0"\n')
    (tmp_path / "src" / "passerelle" / "__init__.py").write_text('__version__ = "1.0.0"\n')
    git(tmp_path, "init", "--quiet")
    with pytest.raises(SystemExit, match=r"differ from it:\n.*pyproject\.toml"):
        release["write_release"](tmp_path, tmp_path / "release")
    assert not (tmp_path / "release").exists()


def test_only_known_licences_pass(licences: dict[str, Any]) -> None:
    stated = {"fine": ["MIT"], "both": ["Apache-2.0 OR MIT"], "bound": ["AGPL-3.0-only"], "silent": [], "mixed": ["MIT", "GPL-3.0"]}
    rules = {"allowed": ["MIT", "Apache-2.0 OR MIT"], "reviewed": {}}
    assert licences["refused"](stated, **rules) == ["bound: AGPL-3.0-only", "mixed: MIT; GPL-3.0", "silent: states no licence"]
    assert licences["refused"](stated, allowed=["MIT.*", "Apache.*"], reviewed={"bound": "why", "silent": "why", "mixed": "why"}) == []


def test_packages_of_other_platforms_are_left_out(licences: dict[str, Any]) -> None:
    lock = "here==1.0 \\\n    --hash=sha256:0\nthere==2.0 ; sys_platform == 'no-such-platform' \\\n    --hash=sha256:0\n"
    assert licences["locked"](lock) == ["here"]


def test_the_lock_files_hold_allowed_licences_only() -> None:
    command = [sys.executable, str(ROOT / ".ci" / "licences.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
