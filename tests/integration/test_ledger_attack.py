"""The attack with write access to S3 alone, step by step: nothing of passerelle carries it out, or hides it afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from passerelle.cli.main import passerelle
from passerelle.errors import CriteriaError, IntegrityError, PasserelleError
from passerelle.names import ARTIFACT_DIGEST, LOOKS, VERDICT, ModelVersionRef
from passerelle.registry.client import Registry
from passerelle.registry.ledger import BEGINNING, Ledger
from passerelle.registry.objects import Objects
from passerelle.registry.production import standing
from passerelle.registry.verified import verified_ledger
from tests.platform_fixtures import RegisteredForTests, moved

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]
Typed = Callable[..., Any]


@pytest.fixture
def typed(registered: RegisteredForTests, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Registry, Typed]:
    """A registered model of the test's own, and what types a command about it."""
    registry = registered.named(monkeypatch, tmp_path)
    (tmp_path / "lenient.yaml").write_text("champion: {must_be_better: false, not_worse_by: 1.0}\n")
    (tmp_path / "strict.yaml").write_text("held_out: {minimum: {macro_f1: 1.0}}\n")

    def run(*command: str) -> Any:
        return passerelle.main(list(command), standalone_mode=False)

    return registry, run


def forge(s3: Objects, ref: ModelVersionRef, digest: str, after: Any) -> None:
    """Write what a promotion of the version would have written, into S3 alone."""
    ledger = Ledger(s3, ref.registered_model)
    entry = replace(after, number=after.number + 1, before=after.digest, from_version=after.to_version, to_version=ref.version)
    entry = replace(entry, run_id=ref.run_id, artifact_digest=digest)
    assert s3.create(ledger.key(entry.number), entry.line())
    assert ledger.write_head(entry, head_tag=ledger.read_head()[1])


def everything(registry: Registry) -> tuple[Any, ...]:
    """Return all that a command may change: the ledger's objects, alias and stage, and the tags that vouch for entries."""
    name = registry.settings.registered_model
    objects = {key: registry.objects.read(key) for key in registry.objects.keys(f"ledger/{name}/") if "/looks/" not in key}
    # The gate writes its verdict down, and that it looked; neither puts anything into production.
    tags = [{tag: value for tag, value in info.tags.items() if tag not in {VERDICT, LOOKS}} for info in registry.versions(name)]
    return objects, standing(registry, name), registry.model_tags(name), tags


def test_a_version_that_the_gate_refused_stays_out(
    registered: RegisteredForTests, typed: tuple[Registry, Typed], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry, run = typed
    name, promote = registry.settings.registered_model, ("promote", "--project", str(ROOT), "--criteria")
    registered.register(registry, 0)
    run(*promote, str(tmp_path / "lenient.yaml"))
    second = registered.register(registry, 1)
    with pytest.raises(CriteriaError, match="the gate refuses"):
        run(*promote, str(tmp_path / "strict.yaml"), "--version", "2")
    run("status")
    assert "nothing disagrees" in capsys.readouterr().out

    last = verified_ledger(registry, name).last
    forge(Objects(registry.objects.settings), second, registry.model_version(name, 2).tags[ARTIFACT_DIGEST], last)
    left = everything(registry)
    with pytest.raises(SystemExit) as ended:
        run("status", "--json")
    shown = json.loads(capsys.readouterr().out)
    assert (ended.value.code, shown["holdings"]["alias"], shown["ledger_findings"][0]["number"]) == (1, 1, 2)
    assert [each["command"] for each in shown["disagreements"]] == ["passerelle history --verify"]

    def refused(*command: str) -> PasserelleError:
        with pytest.raises(IntegrityError) as told:
            run(*command)
        assert everything(registry) == left, command
        return told.value

    for command in (
        ("rollback", "--version", "2"), ("rollback",), ("rollback", "--dry-run", "--version", "1"), ("import",), ("import", "--dry-run"),
        (*promote, str(tmp_path / "lenient.yaml")), (*promote, str(tmp_path / "lenient.yaml"), "--dry-run", "--version", "2"),
        (*promote, str(tmp_path / "lenient.yaml"), "--force", "--reason", "hurry"),
    ):  # fmt: skip
        assert "is broken at entry 2: MLflow does not know it" in refused(*command).message
    refused("status")
    capsys.readouterr()
    for _ in range(2):
        error = refused("history", "--verify")
        assert ("is not as passerelle wrote it" in error.message, "rollback" in str(error.hint)) == (True, False)
        assert "entry 2: MLflow does not know it" in capsys.readouterr().out


def test_a_first_entry_in_s3_alone_puts_nothing_into_production(
    registered: RegisteredForTests, typed: tuple[Registry, Typed], capsys: pytest.CaptureFixture[str]
) -> None:
    registry, run = typed
    first = registered.register(registry, 0)
    other = registered.fresh()
    last = run_promotion(registered, other)
    digest = registry.model_version(first.registered_model, 1).tags[ARTIFACT_DIGEST]
    ledger = Ledger(registry.objects, first.registered_model)
    entry = replace(last, before=BEGINNING, registered_model=first.registered_model, run_id=first.run_id, artifact_digest=digest)
    assert registry.objects.create(ledger.key(1), entry.line())
    assert ledger.write_head(entry, head_tag=None)
    with pytest.raises(IntegrityError):
        run("status")
    assert "broken at entry 1" in capsys.readouterr().out
    with pytest.raises(IntegrityError, match="is broken at entry 1: MLflow does not know it"):
        run("rollback", "--version", "1")
    assert registry.aliases(first.registered_model) == {}


def run_promotion(registered: RegisteredForTests, registry: Registry) -> Any:
    """Promote a version elsewhere and return the entry that passerelle wrote for it."""
    done = moved(registry, registered.register(registry, 0))
    assert done.entry is not None
    return done.entry
