"""How one poll ends, and what is published to all workers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from passerelle.model.loaded import LoadedModel, load_model
from passerelle.names import ARTIFACT_DIGEST, BUNDLE, LEDGER_ENTRY
from passerelle.serving.following.failures import VersionRefusedError
from passerelle.serving.following.follower import Follower
from passerelle.serving.following.published import Board
from passerelle.serving.following.target import Target
from tests.unit.serving.following.registry_double import ALIAS, NAME, RegistryDouble

Accept = Callable[[Path, Mapping[str, object]], LoadedModel]


def load(folder: Path, _: Mapping[str, object]) -> LoadedModel:
    return load_model(folder, scorer_alone=True)


def follower(
    registry: RegistryDouble, folder: Path, accept: Accept = load, clock: Callable[[], float] = time.monotonic, **settings: Any
) -> Follower:
    board = Board(folder)
    board.make()
    target = Target(NAME, ALIAS)
    return Follower(target, registry.settings(folder, **settings), board, accept=accept, loaded={}, clock=clock)


def test_what_was_promoted_is_published_once(registry: RegistryDouble, tmp_path: Path) -> None:
    follows = follower(registry, tmp_path)
    assert (follows.poll().state, follows.poll().state) == ("in_step", "in_step")
    assert registry.asked.count(BUNDLE) == 1
    # Nothing moved: one small request.
    registry.asked.clear()
    follows.poll()
    assert registry.asked == ["/api/2.0/mlflow/registered-models/alias"]
    published = Board(tmp_path).published()
    assert published is not None
    assert (published.version, published.ledger_number) == (1, 1)
    lineage = json.loads((tmp_path / "versions" / published.folder / "lineage.json").read_text())
    assert (lineage["version"], lineage["experiment"], lineage["metrics"]) == ("1", "of the tests", {"macro_f1": 0.5})


def test_a_rollback_downloads_nothing(registry: RegistryDouble, tmp_path: Path) -> None:
    follows = follower(registry, tmp_path)
    follows.poll()
    registry.promote(2, 2)
    assert follows.poll().alias_version == 2
    registry.promote(1, 3)
    registry.asked.clear()
    assert follows.poll().state == "in_step"
    assert BUNDLE not in registry.asked
    published = Board(tmp_path).published()
    assert published is not None
    assert (published.version, published.ledger_number) == (1, 3)


def test_a_version_that_is_refused_is_not_tried_again_until_it_changes(registry: RegistryDouble, tmp_path: Path) -> None:
    tried = []

    def refuse(folder: Path, lineage: Mapping[str, object]) -> LoadedModel:
        tried.append(lineage["version"])
        if lineage["version"] == "2":
            raise VersionRefusedError("latency", "too slow", "passerelle status")
        return load(folder, lineage)

    follows = follower(registry, tmp_path, refuse)
    follows.poll()
    registry.promote(2, 2)
    states = [follows.poll() for _ in range(3)]
    assert [(state.state, state.code, state.alias_version) for state in states] == [("refused", "latency", 2)] * 3
    assert tried == ["1", "2"]
    published = Board(tmp_path).published()
    assert published is not None
    assert published.version == 1
    registry.promote(2, 3)
    follows.poll()
    assert tried == ["1", "2", "2"]


def test_an_alias_moved_by_hand_is_looked_at_again_once_the_ledger_agrees(registry: RegistryDouble, tmp_path: Path) -> None:
    follows = follower(registry, tmp_path)
    registry.alias = 2
    assert (follows.poll().state, follows.poll().code) == ("refused", "ledger")
    registry.promote(2, 2)
    assert follows.poll().state == "in_step"


def test_without_a_ledger_the_alias_decides(registry: RegistryDouble, tmp_path: Path) -> None:
    registry.alias = 2
    for version in registry.versions.values():
        version["tags"].pop(LEDGER_ENTRY, None)
    assert follower(registry, tmp_path, follow_ledger="off").poll().state == "in_step"


def spoilt(status: int, body: bytes) -> Callable[[str, bytes], tuple[int, bytes]]:
    return lambda _, __: (status, body)


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (spoilt(500, b"oops"), "server_error"),
        (spoilt(401, b"who are you"), "credentials"),
        (spoilt(403, b"{}"), "credentials"),
        (spoilt(200, b"<html>"), "not_mlflow"),
        (spoilt(200, b"[]"), "server_error"),
        (spoilt(200, b'{"model_version": 3}'), "not_mlflow"),
        (spoilt(200, b'{"model_version": {"name": "other", "version": "1"}}'), "not_mlflow"),
        (spoilt(200, b'{"model_version": {"name": "test", "version": "one"}}'), "not_mlflow"),
        (spoilt(200, b"[" * 100_000), "not_mlflow"),
    ],
)
def test_a_registry_that_answers_nonsense_changes_nothing(
    registry: RegistryDouble, tmp_path: Path, spoil: Callable[[str, bytes], tuple[int, bytes]], code: str
) -> None:
    follows = follower(registry, tmp_path)
    follows.poll()
    registry.spoil = spoil
    state = follows.poll()
    assert (state.state, state.code) == ("not_reached", code)
    published = Board(tmp_path).published()
    assert published is not None
    assert published.version == 1
    registry.spoil = None
    assert follows.poll().state == "in_step"


def test_an_alias_or_a_model_that_is_not_there_is_said(registry: RegistryDouble, tmp_path: Path) -> None:
    registry.alias = None
    state = follower(registry, tmp_path).poll()
    assert (state.state, state.code, state.hint) == ("not_reached", "no_alias", "passerelle promote")
    other = Follower(Target("nothing", ALIAS), registry.settings(tmp_path), Board(tmp_path), accept=load, loaded={})
    assert other.poll().code == "no_model"


def test_a_server_that_does_not_answer_is_said(tmp_path: Path) -> None:
    registry = RegistryDouble(address="http://127.0.0.1:1")
    assert follower(registry, tmp_path).poll().code == "unreachable"


def test_a_version_that_passerelle_did_not_register_is_refused(registry: RegistryDouble, tmp_path: Path) -> None:
    del registry.versions[1]["tags"][ARTIFACT_DIGEST]
    state = follower(registry, tmp_path).poll()
    assert (state.code, state.hint) == ("digest", "passerelle adopt models:/test/1")


def test_a_load_that_killed_its_worker_twice_is_not_begun_again(
    registry: RegistryDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(_: Path, __: Mapping[str, object]) -> LoadedModel:
        raise Killed

    # A process that is killed notes nothing.
    monkeypatch.setattr(Board, "attempted", lambda _: None)
    for _ in range(2):
        with pytest.raises(Killed):
            follower(registry, tmp_path, kill).poll()
    monkeypatch.undo()
    state = follower(registry, tmp_path).poll()
    assert (state.state, state.code) == ("refused", "killed")


def test_the_same_version_number_of_another_run_is_another_version(
    registry: RegistryDouble, versions: dict[int, Path], tmp_path: Path
) -> None:
    follows = follower(registry, tmp_path, follow_ledger="off")
    follows.poll()
    # The registered model was deleted and made anew: its numbers start again.
    registry.versions[1] = dict(registry.versions[2])
    registry.files |= {(1, path): content for (version, path), content in registry.files.items() if version == 2}
    assert follows.poll().state == "in_step"
    published = Board(tmp_path).published()
    assert published is not None
    assert (published.version, published.run_id) == (1, "2" * 32)


def test_what_may_pass_is_tried_again_after_pauses_that_double(registry: RegistryDouble, tmp_path: Path) -> None:
    now, tried = [0.0], []

    def refuse(_: Path, __: Mapping[str, object]) -> LoadedModel:
        tried.append(now[0])
        raise VersionRefusedError("resources", "no memory", hint="passerelle status")

    follows = follower(registry, tmp_path, refuse, lambda: now[0])
    due = [0, 60, 180, 420, 900, 1860, 3780, 7380, 10980, 14580, 18180]
    # What would be tried too early is tried by the poll before, and what would be tried once more by the one after.
    for second in sorted({second + near for second in due for near in (-10, 0, 10) if second + near >= 0}):
        now[0] = second
        assert follows.poll().code == "resources"
    assert tried == due
