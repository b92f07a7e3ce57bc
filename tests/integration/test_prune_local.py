"""Old bentos, models and images go, and nothing that anybody uses: a real BentoML store, and a program in the engine's place."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bentoml
import pytest
from bentoml._internal.models.model import ModelStore
from filelock import FileLock

from passerelle.bentos import store as stores
from passerelle.bentos.store import Store
from passerelle.errors import BusyError, OutsideError, UsageError
from passerelle.names import BentoTag, ModelVersionRef
from passerelle.platform.state import ProcessMark
from passerelle.rollout.service_state import RunningService, remember
from passerelle.stages import prune_local
from passerelle.stages.context import Context, context_of
from passerelle.stages.prune_local import LocallyPruned, LocalOptions

pytestmark = pytest.mark.integration

RUN = "abcdef01" + "0" * 24
#: An engine that holds what a file says, and writes down what it is told to remove.
ENGINE = """#!{python}
import json, pathlib, sys
here = pathlib.Path(__file__).parent
state, words = json.loads((here / "engine.json").read_text()), sys.argv[1:]
if words[:2] == ["image", "ls"]:
    print(*[each["Id"] for each in state["images"]], sep="\\n")
elif words[:2] == ["image", "inspect"]:
    print(json.dumps(state["images"]))
elif words[0] == "ps":
    print(*range(len(state["containers"])), sep="\\n")
elif words[:2] == ["container", "inspect"]:
    print(json.dumps(state["containers"]))
elif words[:2] == ["image", "rm"]:
    if words[2] in state["refused"]:
        sys.exit("conflict: must be forced")
    with (here / "removed").open("a") as file:
        file.write(words[2] + "\\n")
elif words[0] != "info":
    sys.exit("unknown: " + " ".join(words))
"""


class Machine:
    """A store with versions 1 to 7, an image of each, and what MLflow says of them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "state" / "bentoml"
        self.aliases, self.deleted = {"production": 2, "previous": 1}, set[int]()
        self.engine: dict[str, Any] = {"images": [], "containers": [], "refused": []}
        for version in range(1, 8):
            self.add(version)
        self.context: Context = context_of({"PASSERELLE_STATE_DIR": str(folder / "state"), "PATH": os.environ["PATH"]})
        registry = SimpleNamespace(versions=self.versions, aliases=lambda _: self.aliases)
        self.context.__dict__["registry"] = registry

    def versions(self, name: str) -> list[Any]:
        known = [number for number in range(1, 8) if number not in self.deleted]
        return [SimpleNamespace(ref=ModelVersionRef(name, number, RUN), stage="None") for number in known]

    def add(self, version: int) -> None:
        tag = f"comments:{version}-abcdef01"
        labels = {"passerelle.registered_model": "comments", "passerelle.version": str(version), "passerelle.run_id": RUN}
        vouched = {**labels, "passerelle.artifact_digest": "sha256:d"}
        (self.home / "models").mkdir(parents=True, exist_ok=True)
        with bentoml.models.create(tag, labels=vouched, _model_store=ModelStore(self.home / "models")) as model:
            (Path(model.path) / "weights").write_bytes(bytes(1_000))
        self.bento(tag, vouched)
        self.image(f"passerelle/{tag}", version, {**labels, "passerelle.bento_tag": tag, "passerelle.inputs_digest": "sha256:i"})
        self.bill(f"passerelle/{tag}").write_text("{}")

    def bento(self, tag: str, labels: dict[str, str], *models: str) -> None:
        name, _, version = tag.partition(":")
        place = self.home / "bentos" / name / version
        place.mkdir(parents=True)
        listed = [{"tag": each, "module": "", "creation_time": "2026-11-27T00:00:00+00:00"} for each in models]
        described = {
            "service": "service:S",
            "name": name,
            "version": version,
            "bentoml_version": "1.4.0",
            "labels": labels,
            "models": listed,
        }
        (place / "bento.yaml").write_text(json.dumps({**described, "creation_time": "2026-11-27T00:00:00+00:00"}))
        (place.parent / "latest").write_text(version)

    def image(self, name: str, version: int, labels: dict[str, str]) -> None:
        self.engine["images"].append({"Id": f"sha256:{version}", "RepoTags": [name], "Config": {"Labels": labels}, "Size": 5_000_000})

    def bill(self, name: str) -> Path:
        (self.home / "images").mkdir(parents=True, exist_ok=True)
        return self.home / "images" / f"{name.replace('/', '_').replace(':', '_')}.cdx.json"

    def prune(self, keep: int = 3, *, unknown: bool = False, dry_run: bool = False) -> LocallyPruned:
        (self.folder / "bin" / "engine.json").write_text(json.dumps(self.engine))
        return prune_local.run(self.context, LocalOptions(keep, unknown), project=self.folder, dry_run=dry_run)

    def left(self, kind: str) -> set[int]:
        store = Store(self.context.store)
        entries = store.models.list() if kind == "models" else store.bentos.list()
        return {int(str(each.tag.version)[0]) for each in entries}

    @property
    def removed(self) -> list[str]:
        path = self.folder / "bin" / "removed"
        return path.read_text().split() if path.exists() else []


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "docker").write_text(ENGINE.format(python=sys.executable))
    (tmp_path / "bin" / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}")
    return Machine(tmp_path)


def versions_of(pruned: LocallyPruned) -> set[str]:
    return {piece.name.partition(":")[2][0] for piece in pruned.freed}


def test_what_nobody_uses_goes_and_the_rest_stays(machine: Machine) -> None:
    planned = machine.prune(dry_run=True)
    assert (planned.dry_run, machine.removed, machine.left("models")) == (True, [], set(range(1, 8)))
    done = machine.prune()
    assert done == replace(planned, dry_run=False)
    assert sorted((piece.kind, piece.name.rpartition(":")[2][0]) for piece in done.freed) == [
        (kind, version) for kind in ("bento", "image", "model") for version in "34"
    ]
    assert {piece.kind: piece.size_bytes for piece in done.freed}["image"] == 5_000_000
    assert all(piece.size_bytes > 1_000 for piece in done.freed if piece.kind == "model")
    assert machine.left("models") == machine.left("bentos") == {1, 2, 5, 6, 7}
    assert machine.removed == ["passerelle/comments:3-abcdef01", "passerelle/comments:4-abcdef01"]
    assert not machine.bill("passerelle/comments:3-abcdef01").exists()
    assert machine.bill("passerelle/comments:5-abcdef01").exists()
    assert {piece.why for piece in done.kept if ":1-" in piece.name} == {"it has the alias previous"}
    assert not (machine.home / ".passerelle-staging").exists()
    machine.engine["images"] = []
    assert not machine.prune().changed


def candidate(machine: Machine) -> None:
    machine.aliases["candidate"] = 3


def deployed_here(machine: Machine) -> None:
    mark = replace(ProcessMark.of(os.getpid()), pid=2**22)  # it has ended; `deploy` may start it again
    remember(machine.folder / "state", RunningService("http://127.0.0.1:1", "comments:3-abcdef01#1", "3", mark, "comments"))


def in_the_stack(machine: Machine) -> None:
    (machine.folder / "deploy").mkdir()
    (machine.folder / "deploy" / "compose.yaml").write_text("services: {}\n")
    (machine.folder / "deploy" / ".env").write_text("SERVICE_IMAGE=sha256:3\n")


def in_a_container(machine: Machine) -> None:
    machine.engine["containers"] = [{"Image": "sha256:3"}]


def selected_last(machine: Machine) -> None:
    store = Store(machine.context.store)
    with store.staging():
        store.select("models", BentoTag("comments", "3-abcdef01"))


@pytest.mark.parametrize("use", [candidate, deployed_here, in_the_stack, in_a_container, selected_last])
def test_what_is_used_stays_however_old_it_is(machine: Machine, use: Callable[[Machine], None]) -> None:
    use(machine)
    assert versions_of(machine.prune()) == {"4"}
    assert machine.left("models") == {1, 2, 3, 5, 6, 7}


def test_what_is_not_ours_stays(machine: Machine) -> None:
    machine.bento("own:1", {}, "comments:3-abcdef01")
    labels = dict(machine.engine["images"][3]["Config"]["Labels"])
    machine.image("team/on-top-of-ours:4", 44, labels)
    machine.image("postgres:17", 45, {})
    done = machine.prune()
    assert "model" not in {piece.kind for piece in done.freed if ":3-" in piece.name}
    assert [piece.why for piece in done.kept if ":3-" in piece.name] == ["a bento that passerelle did not build holds it"]
    assert machine.removed == ["passerelle/comments:3-abcdef01", "passerelle/comments:4-abcdef01"]


def test_what_mlflow_does_not_know_stays_unless_it_is_asked_for(machine: Machine) -> None:
    machine.deleted = {7}
    assert versions_of(machine.prune(keep=5)) == set()
    assert versions_of(machine.prune(keep=5, unknown=True)) == {"7"}
    assert (machine.home / "models" / "comments" / "latest").read_text() == "6-abcdef01"
    machine.deleted = set(range(8))
    with pytest.raises(UsageError, match="another server"):
        machine.prune(unknown=True)
    assert machine.left("models") == set(range(1, 7))


def test_what_the_engine_refuses_is_named_and_the_rest_goes(machine: Machine) -> None:
    machine.engine["refused"] = ["passerelle/comments:3-abcdef01"]
    done = machine.prune()
    assert [piece.why for piece in done.kept if piece.why.startswith("docker")] == ["docker refuses: conflict: must be forced"]
    assert machine.removed == ["passerelle/comments:4-abcdef01"]


def test_without_an_engine_the_store_is_freed(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    done = machine.prune()
    assert (done.engine, {piece.kind for piece in done.freed}) == (None, {"bento", "model"})
    assert "no container engine is installed" in done.no_engine


def test_nothing_goes_while_somebody_imports_or_nobody_can_be_asked(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "_LOCK_TIMEOUT_S", 0.0)
    with FileLock(machine.home / ".passerelle.lock"), pytest.raises(BusyError):
        machine.prune()
    del machine.context.__dict__["registry"]
    with pytest.raises(OutsideError, match="no MLflow server is named"):
        machine.prune()
    assert (machine.removed, machine.left("models")) == ([], set(range(1, 8)))
