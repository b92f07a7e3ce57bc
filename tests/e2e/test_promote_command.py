"""What `promote` reads besides the registry: the project's libraries, wherever it is typed, and the environment that it is typed in."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from passerelle.cli.main import passerelle
from passerelle.errors import CriteriaError, RefusedError, UsageError
from passerelle.registry.client import Registry
from passerelle.stages import demo, train
from passerelle.stages.context import context_of, silent
from passerelle.stages.events import Steps
from passerelle.stages.promote import promotion_request
from tests.platform_fixtures import RegisteredForTests

pytestmark = [pytest.mark.e2e, pytest.mark.integration]
ROOT = Path(__file__).resolve().parents[2]
Typed = Callable[..., Any]


@pytest.fixture
def registry(registered: RegisteredForTests, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Registry:
    """A registered model of the test's own, which the commands find by the environment, typed in a folder that is no project."""
    fresh = registered.named(monkeypatch, tmp_path)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return fresh


@pytest.fixture
def criteria(tmp_path: Path) -> Path:
    path = tmp_path / "criteria.yaml"
    path.write_text("champion: {must_be_better: false, not_worse_by: 1.0}\n")
    return path


@pytest.fixture
def promote(registry: Registry, criteria: Path) -> Typed:
    """Type `passerelle promote` with these options."""

    def typed(*options: object) -> None:
        passerelle.main(["promote", "--criteria", str(criteria), *map(str, options)], standalone_mode=False)

    return typed


@pytest.fixture
def other_project(tmp_path: Path) -> Path:
    """A project whose image gets a scikit-learn that no model here was made with."""
    folder = tmp_path / "project"
    (folder / "requirements").mkdir(parents=True)
    (folder / "bentofile.yaml").touch()
    (folder / "training").symlink_to(ROOT / "training")
    (folder / "requirements" / "service.txt").write_text("scikit-learn==0.1.0 \\\n    --hash=sha256:0\n")
    return folder


def test_the_libraries_are_the_projects_from_any_folder(
    registered: RegisteredForTests, registry: Registry, promote: Typed, other_project: Path
) -> None:
    ref = registered.register(registry)
    with pytest.raises(UsageError, match=r"holds no bentofile\.yaml") as refused:
        promote()
    assert "--project" in refused.value.message
    with pytest.raises(RefusedError, match=r"the serving image has 0\.1\.0"):
        promote("--project", other_project)
    (other_project / "requirements" / "service.txt").unlink()
    with pytest.raises(UsageError, match=r"service\.txt is missing"):
        promote("--project", other_project)
    promote("--project", ROOT)
    assert registry.aliases(ref.registered_model)["production"] == 1


def test_the_whole_path_asks_the_gate_as_promote_does(
    registered: RegisteredForTests, registry: Registry, other_project: Path, criteria: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered.register_all_elsewhere()
    found = SimpleNamespace(parent_run_id=registered.parent_run_id)
    monkeypatch.setattr(train, "train_or_find", lambda *_, **__: found)
    with pytest.raises(RefusedError, match=r"the serving image has 0\.1\.0"):
        demo.path_to_bento(context_of(os.environ), other_project, criteria, Steps(), silent)
    assert registry.aliases(registry.settings.registered_model) == {}


def test_a_dry_run_of_the_best_shows_its_registration_first(registry: Registry, promote: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    promote("--project", ROOT, "--best", "--dry-run", "--json")
    planned = json.loads(capsys.readouterr().out)
    assert (planned["ref"]["version"], planned["changed"], planned["dry_run"]) == (1, True, True)
    assert planned["steps"][0].startswith("register '")
    assert planned["steps"][0].endswith(" as version 1")
    assert "alias production → version 1" in planned["steps"]
    assert registry.versions(registry.settings.registered_model) == ()
    with pytest.raises(UsageError, match="name two versions"):
        promote("--project", ROOT, "--best", "--version", "1")


def test_the_report_is_written_whatever_the_verdict_and_not_asked_for_again(
    registered: RegisteredForTests, registry: Registry, promote: Typed, criteria: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, loose = criteria.with_name("report.html"), criteria.read_text()
    dry_run = ("--project", ROOT, "--dry-run", "--report", page)
    promote("--project", ROOT, "--best", "--dry-run", "--report", page)
    assert "passerelle register; passerelle promote --dry-run --report report.html" in capsys.readouterr().out
    registered.register(registry)
    criteria.write_text("held_out: {minimum: {macro_f1: 1.0}}\n")
    with pytest.raises(CriteriaError, match=f"the report is {page}") as refused:
        promote(*dry_run)
    assert page.read_text()
    assert refused.value.hint == "passerelle compare\ncat training/criteria.yaml"
    with pytest.raises(CriteriaError) as refused:
        promote("--project", ROOT)
    assert str(refused.value.hint).endswith(" --version 1 --dry-run --report report.html")
    criteria.write_text(loose)
    promote("--project", ROOT)
    page.unlink()
    criteria.write_text("held_out: {minimum: {macro_f1: 1.0}}\n")
    promote(*dry_run)
    assert page.read_text(), "of the version in production too"
    assert "already done" in capsys.readouterr().out


def test_forcing_is_for_development(registry: Registry, other_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert promotion_request(context_of(os.environ), other_project).development
    monkeypatch.setenv("PASSERELLE_ENVIRONMENT", "production")
    request = promotion_request(context_of(os.environ), other_project)
    assert not request.development
    assert request.serving == {"scikit-learn": "0.1.0"}
