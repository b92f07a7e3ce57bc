"""What each command may change: typed twice, after somebody else's promotion, and after somebody else's rollback."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import pandas as pd
import pytest

from passerelle.cli.main import OPERATIONS, STAGES, passerelle
from passerelle.criteria import Criteria
from passerelle.errors import CriteriaError, PasserelleError
from passerelle.names import BentoTag
from passerelle.registry.client import Registry
from passerelle.registry.verified import history
from passerelle.rollout import local
from passerelle.stages import demo, deploy, serve, train, up
from passerelle.stages.context import Context, context_of, silent
from passerelle.stages.events import Ended, Steps, unseen
from passerelle.stages.promote import PromotionRequest, promote
from passerelle.stages.rollback import rollback
from tests.platform_fixtures import COMMENTS, HERE, RegisteredForTests
from tests.project_copies import copied_project, fewer_candidates

pytestmark = [pytest.mark.e2e, pytest.mark.integration]
ROOT = Path(__file__).resolve().parents[2]
LOOSE = Criteria.model_validate({"champion": {"must_be_better": False, "not_worse_by": 1.0}})

#: Each command as it is typed here, and the parts of the state that it may change. One that needs what is not here, such as an engine, a
#: stack or a log, is refused, and must leave everything as it is all the same.
MAY_CHANGE: Mapping[str, frozenset[str]] = {
    "train": frozenset(),
    "compare": frozenset(),
    "register": frozenset({"versions"}),
    "promote": frozenset({"production", "versions", "ledger"}),
    "import": frozenset({"store"}),
    "build": frozenset({"store"}),
    "containerize --dry-run": frozenset(),
    "deploy": frozenset({"service"}),
    "serve": frozenset({"store"}),
    "monitor": frozenset(),
    "new folder --dry-run": frozenset(),
    "adopt models:/{name}/1": frozenset(),
    "convert models:/{name}/1": frozenset(),
    "demo": frozenset({"production", "versions", "ledger", "store"}),
    "up": frozenset({"store"}),
    "env": frozenset(),
    "status": frozenset(),
    "history --verify": frozenset(),
    "rollback": frozenset({"production", "versions", "ledger"}),
    "rollout --status": frozenset(),
    "rollout --stop": frozenset(),
    "drift": frozenset(),
    "trace 1": frozenset(),
    "reproduce 1": frozenset(),
    "feedback export --output feedback.csv": frozenset(),
    "feedback sample --output sample.csv": frozenset(),
    "feedback import feedback.csv --by marie": frozenset(),
    "collect --dry-run": frozenset(),
    "erase 0 --reason asked --by citizen": frozenset(),
    "score --input one.csv --output scored --processes 1": frozenset(),
    "doctor --write-test": frozenset(),
    "openapi": frozenset(),
    "bundle offline.tar --dry-run": frozenset(),
    "backup state.tar": frozenset(),
    "restore state.tar": frozenset(),
    "prune": frozenset(),
    "prune --local": frozenset(),
    "keys make marie": frozenset(),
    "keys list": frozenset(),
    "keys revoke marie": frozenset(),
}
#: What takes a decision by itself, and leaves production alone; where it is typed twice, and after other decisions.
ELSEWHERE = {
    "rollout --candidate": "tests/unit/stages/test_candidate_gate.py",
    "rollout --promote": "tests/integration/test_rollout_command.py",
}
#: Typed on purpose to move production: not among what must leave it alone.
MOVES = {"promote", "rollback"}
#: What takes longest is typed once.
SLOW = {"reproduce 1", "drift"}
TRAIN = ("--data", "few.csv", "--text-column", "text", "--label-column", "label")


@dataclass
class Here:
    """A project on the session's platform, with a registered model, an experiment, a store and a service of its own."""

    registry: Registry
    registered: RegisteredForTests
    folder: Path
    refused: dict[str, PasserelleError] = field(default_factory=dict)
    service: BentoTag | None = None

    @property
    def context(self) -> Context:
        return context_of(os.environ)

    @property
    def name(self) -> str:
        return self.registry.settings.registered_model

    @property
    def in_production(self) -> int | None:
        return self.registry.aliases(self.name).get("production")

    def promoted_by_marie(self, version: int) -> None:
        ref = self.registry.model_version(self.name, version).ref
        promote(self.registry, ref=ref, criteria=LOOSE, request=PromotionRequest(who="marie@bureau", serving=HERE))

    def state(self) -> dict[str, Any]:
        """Return all that a command could undo."""
        versions = self.registry.versions(self.name)
        store = self.folder / "bentoml"
        files = [path for path in store.rglob("*") if path.is_file() and path.suffix != ".lock" and "latest" not in path.name]
        return {
            "production": (self.registry.aliases(self.name), [each.ref.version for each in versions if each.stage == "Production"]),
            "versions": {each.ref.version: dict(each.tags) for each in versions},
            "ledger": [each.line() for each in history(self.registry, self.name).entries],
            "store": {str(path.relative_to(store)): path.stat().st_mtime_ns for path in files},
            "service": self.service,
        }

    def type(self, line: str) -> set[str]:
        """Type a command, and return the parts of the state that it changed; what refuses it is kept."""
        before, command = self.state(), line.partition(" ")[0]
        self.refused.pop(command, None)
        try:
            RUN.get(command, typed)(self, line)
        except PasserelleError as error:
            self.refused[command] = error
        after = self.state()
        return {part for part in before if before[part] != after[part]}


def typed(here: Here, line: str) -> None:
    arguments = line.format(name=here.name).split()
    more = TRAIN if arguments[0] == "train" else (*TRAIN,) if arguments[0] == "reproduce" else ()
    with suppress(SystemExit):
        passerelle.main([*arguments, *more], standalone_mode=False)


@dataclass(frozen=True)
class _Training:
    parent_run_id: str


def demonstrated(here: Here, _: str) -> None:
    """What `demo` does on a platform that runs, without the service that it starts and stops."""
    training = _Training(here.registry.latest_training(here.name))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "train_or_find", lambda *_, **__: training)
        demo.path_to_bento(here.context, here.folder, Path("training/criteria.yaml"), Steps(unseen), silent)


def brought_up(here: Here, _: str) -> None:
    """What `up` does once its platform runs."""
    found: list[object] = []
    with ExitStack() as stack:
        events = Steps(lambda event: found.append(event.result) if isinstance(event, Ended) else None)
        up.service_of_production(here.context, stack, here.folder, port=None, steps=events)
    assert isinstance(found[-1], up.ServiceRuns), (found[-1], here.refused)
    assert found[-1].bento_tag.version.startswith(f"{here.in_production}-")


@contextmanager
def attached(tag: BentoTag, **_: object) -> Iterator[tuple[None, local.Deployment]]:
    """What `serve` and `up` start: which bento, without its process, whose start takes seconds."""
    yield None, local.Deployment("http://127.0.0.1:1", tag, None, 0.0, None, changed=True)


class _EndsError(Exception):
    pass


def served(here: Here, _: str) -> None:
    def ready(deployment: local.Deployment) -> None:
        assert deployment.bento_tag.version.startswith(f"{here.in_production}-")
        raise _EndsError

    with suppress(_EndsError):
        serve.run(here.context, on_ready=ready)


RUN = {"demo": demonstrated, "up": brought_up, "serve": served}


@pytest.fixture
def here(registered: RegisteredForTests, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Here:
    """A project with one quick candidate, which trains on the rows of three classes."""
    monkeypatch.chdir(tmp_path)
    registry = registered.named(monkeypatch, tmp_path)
    monkeypatch.setenv("PASSERELLE_EXPERIMENT", registry.settings.registered_model)
    copied_project(ROOT, tmp_path)
    candidates = tmp_path / "training" / "candidates.py"
    fewer_candidates(tmp_path)
    candidates.write_text(candidates.read_text().replace("[1:4:2]", "[:1]"))
    (tmp_path / "training" / "criteria.yaml").write_text("champion: {must_be_better: false, not_worse_by: 1.0}\n")
    made = Here(registry, registered, tmp_path)

    def deployed(tag: BentoTag, **_: object) -> local.Deployment:
        """Note which bento `deploy` puts in the place of the one before, without its process."""
        before, made.service = made.service, tag
        return local.Deployment(None, tag, None, 0.0, None, changed=tag != before)

    monkeypatch.setattr(local, "attached", attached)
    monkeypatch.setattr(local, "deploy", deployed)
    comments = pd.read_csv(COMMENTS)
    comments[comments["label"].isin(comments["label"].value_counts().index[:3])].to_csv(tmp_path / "few.csv", index=False)
    comments[["text"]].head(1).to_csv(tmp_path / "one.csv", index=False)
    return made


def test_the_table_names_every_command() -> None:
    typed_here = {line.partition(" ")[0] for line in MAY_CHANGE}
    assert typed_here == {str(command.name) for command in (*STAGES, *OPERATIONS)}
    groups = [command for command in OPERATIONS if isinstance(command, click.Group)]
    below = {f"{group.name} {name}" for group in groups for name in group.commands}
    assert {" ".join(line.split()[:2]) for line in MAY_CHANGE if line.partition(" ")[0] in {str(group.name) for group in groups}} == below
    assert all((ROOT / test).is_file() for test in ELSEWHERE.values())


def test_nothing_but_promote_and_rollback_changes_what_somebody_decided(here: Here) -> None:
    for line, may in MAY_CHANGE.items():
        assert here.type(line) <= may, (line, here.refused)
        if line not in SLOW:
            assert here.type(line) == set(), f"{line}, a second time"
    assert here.in_production == 1
    assert "no previous version" in here.refused["rollback"].message

    second = here.registered.register(here.registry, 0)
    here.promoted_by_marie(second.version)
    for line, may in MAY_CHANGE.items():
        if line not in MOVES | SLOW:
            changed = here.type(line)
            assert changed <= may - {"production", "ledger"}, f"{line}, after somebody's promotion"
    assert here.service == second.bento_model_tag

    rollback(here.registry, who="paul@bureau", reason="wrong")
    assert here.type("deploy") == {"service"}, "the bento built last is that of version 2"
    for line in MAY_CHANGE:
        if line not in SLOW:
            assert here.type(line) == set(), f"{line}, after somebody's rollback"
    assert here.service is not None
    assert (here.service.version.partition("-")[0], here.in_production) == ("1", 1)
    for line in ("promote", "promote --best", "promote --version 2"):
        assert here.type(line) == set()
    assert isinstance(here.refused["promote"], CriteriaError)
    assert "paul@bureau took" in here.refused["promote"].message
    assert here.type("promote --version 2 --reason mended") == {"production", "versions", "ledger"}
    entries = history(here.registry, here.name).entries
    assert [each.what for each in entries] == ["promote", "promote", "rollback", "promote"]
    assert all(each.reason or each.report_digest for each in entries), "each entry has a reason or the gate's verdict"


def test_deploy_serves_no_other_version_than_that_in_production(here: Here) -> None:
    for line in ("train", "promote --best", "import", "build"):
        here.type(line)
    second = here.registered.register(here.registry, 0)
    here.promoted_by_marie(second.version)
    planned = deploy.run(here.context, dry_run=True)
    assert isinstance(planned, local.Deployment)
    assert planned.bento_tag == second.bento_model_tag, "imported and built first"
    assert here.type("serve") == {"store"}, "imported and built first, as by deploy"
    assert here.type("serve") == set()
