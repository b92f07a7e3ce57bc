"""`passerelle --version`: the commit where it is known, and the libraries that passerelle leans on."""

from __future__ import annotations

import json
import re
import subprocess
from importlib.metadata import PathDistribution, version
from pathlib import Path

import pytest

from passerelle.cli.main import run
from passerelle.cli.version import Version, described, installed_from


def test_it_names_commit_bentoml_and_mlflow(capsys: pytest.CaptureFixture[str]) -> None:
    run(["--version"])
    printed = capsys.readouterr().out
    assert re.match(r"passerelle [\d.]+ \((commit [0-9a-f]{12}(-dirty)?|unknown commit)\)\n", printed)
    assert f"BentoML {version('bentoml')}, MLflow {version('mlflow')}, Python 3." in printed
    run(["--version", "--json"])
    assert set(json.loads(capsys.readouterr().out)) == {"passerelle", "commit", "bentoml", "mlflow", "python"}


def test_what_is_not_known_is_said() -> None:
    assert str(Version("1.0", None, "1.4.39", None, "3.11.7")) == (
        "passerelle 1.0 (unknown commit)\nBentoML 1.4.39, MLflow not installed, Python 3.11.7"
    )


def test_a_checkout_tells_its_commit_and_changes(tmp_path: Path) -> None:
    assert described(tmp_path) is None
    for command in (
        ["init", "--quiet"],
        ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "--quiet", "--allow-empty", "-m", "first"],
    ):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True, timeout=30)
    assert re.fullmatch("[0-9a-f]{12}", described(tmp_path) or "")


@pytest.mark.parametrize(
    ("recorded", "commit"),
    [
        ('{"url": "https://example.org/p", "vcs_info": {"vcs": "git", "commit_id": "0123456789abcdef0123"}}', "0123456789ab"),
        ('{"url": "file:///p", "dir_info": {}}', None),
        (None, None),
    ],
    ids=["from git", "from a folder", "from an index"],
)
def test_an_installation_from_git_tells_its_commit(tmp_path: Path, recorded: str | None, commit: str | None) -> None:
    if recorded:
        (tmp_path / "direct_url.json").write_text(recorded)
    assert installed_from(PathDistribution(tmp_path)) == commit


def test_an_option_before_the_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(["--json", "status"])
    assert "passerelle status --json" in capsys.readouterr().err
