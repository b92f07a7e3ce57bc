"""A candidate answers its share of the requests beside production, and leaves it alone when it fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from passerelle.errors import SettingsError
from passerelle.model.ledger_entry import CandidateTerms
from passerelle.monitoring.live_comparison import LiveComparison, compared, counts_of
from passerelle.monitoring.rollout_metrics import RolloutMetrics
from passerelle.serving.contract import RequestError
from passerelle.serving.following import candidate_worker, shadow
from passerelle.serving.following.live_candidate import CandidateSlot
from passerelle.serving.following.shadow import ShadowQueue, ShadowRecord
from passerelle.serving.following.target import targets
from tests.unit.serving.following.registry_double import NAME, RegistryDouble
from tests.unit.serving.following.workers import Worker, until

HALF = CandidateTerms("canary", 50, "X-Rollout-Key", {})
ALL = replace(HALF, weight=100)
SHADOW = replace(ALL, mode="shadow")
Start = Callable[..., Worker]


@pytest.fixture
def start(registry: RegistryDouble, versions: dict[int, Path], tmp_path: Path) -> Iterator[Start]:
    started: list[Worker] = []

    def make(**given: Any) -> Worker:
        started.append(Worker(registry, versions[1], tmp_path, **{"follow_candidate": True, **given}))
        return started[-1]

    yield make
    for each in started:
        each.stop()
        if each.runtime.rollout is not None:
            assert each.runtime.rollout.worker is not None
            each.runtime.rollout.worker.stop()
            if each.runtime.rollout.shadow is not None:
                each.runtime.rollout.shadow.stop()


def slot_of(worker: Worker) -> CandidateSlot:
    assert worker.runtime.rollout is not None
    return worker.runtime.rollout


def candidate_of(worker: Worker) -> tuple[int, str] | None:
    live = slot_of(worker).current
    return (live.entry, live.backed_out) if live else None


def counted(worker: Worker, entry: int = 2) -> LiveComparison:
    return compared(counts_of(entry, [worker.runtime.metrics.render().decode()]))


def answered_by(worker: Worker, **headers: str) -> str:
    response = worker.ask(**headers)
    assert response.status_code == 200
    return str(response.json()["model_version"])


def test_each_key_gets_the_same_version_from_each_worker(registry: RegistryDouble, start: Start) -> None:
    registry.nominate(2, 2, HALF)
    workers = [start(), start()]
    until(lambda: all(candidate_of(worker) == (2, "") for worker in workers))
    given = {key: {answered_by(worker, x_rollout_key=key) for worker in workers for _ in range(2)} for key in map(str, range(20))}
    assert all(len(versions) == 1 for versions in given.values())
    assert set.union(*given.values()) == {"1", "2"}
    by_request_id = {answered_by(workers[0], x_request_id=str(number)) for number in range(20)}
    assert by_request_id == {"1", "2"}
    found = counted(workers[0])
    assert found.production.requests + found.candidate.requests == 60
    assert (found.production.versions, found.candidate.versions) == (("1",), ("2",))
    assert set(found.candidate.labels) == {"autre merci"}


def test_the_header_may_have_another_name(registry: RegistryDouble, start: Start) -> None:
    registry.nominate(2, 2, replace(HALF, key_header="X-Client"))
    worker = start()
    until(lambda: candidate_of(worker) == (2, ""))
    versions = {answered_by(worker, x_client="me", x_rollout_key=str(number)) for number in range(10)}
    assert len(versions) == 1


def test_weight_and_end_are_followed(registry: RegistryDouble, start: Start) -> None:
    registry.nominate(2, 2, replace(HALF, weight=0))
    worker = start()
    until(lambda: candidate_of(worker) == (2, ""))
    assert {answered_by(worker) for _ in range(10)} == {"1"}
    registry.nominate(2, 3, ALL)
    until(lambda: candidate_of(worker) == (3, ""))
    assert answered_by(worker) == "2"
    said = worker.ask("/readyz", "GET").json()
    assert said["model_version"] == "1"
    assert said["candidate"] | {"alias_version": 2} == {
        "model_version": "2", "entry": 3, "mode": "canary", "weight": 100, "backed_out": "",
        "state": "in_step", "alias_version": 2, "code": "", "message": "", "hint": "",
    }  # fmt: skip
    assert worker.ask("/model", "GET").json()["live_candidate"] == said["candidate"]
    registry.nominate(2, 4, None)
    until(lambda: candidate_of(worker) is None)
    assert answered_by(worker) == "1"
    # The entry that began it is not believed again.
    registry.nominate(2, 3, ALL)
    until(lambda: worker.ask("/readyz", "GET").json()["candidate"]["code"] == "ledger")
    assert candidate_of(worker) is None
    assert answered_by(worker) == "1"


def test_a_poll_at_once_asks_for_the_candidate_too(registry: RegistryDouble, start: Start) -> None:
    worker = start(follow_interval_s=3_000.0)
    until(lambda: worker.ask("/readyz", "GET").json()["candidate"]["state"] == "none")
    registry.nominate(2, 2, ALL)
    assert worker.ask(x_least_model_version="9").status_code == 409
    until(lambda: candidate_of(worker) == (2, ""))


def test_a_candidate_without_its_alias_is_none(registry: RegistryDouble, start: Start) -> None:
    registry.nominate(2, 2, ALL)
    worker = start()
    until(lambda: candidate_of(worker) == (2, ""))
    registry.candidate = None
    until(lambda: candidate_of(worker) is None)
    assert worker.ask("/readyz", "GET").json()["candidate"]["state"] == "none"
    registry.candidate = 2
    until(lambda: candidate_of(worker) == (2, ""))


@pytest.mark.parametrize("weight", [-1, 101])
def test_a_weight_that_is_no_share_gets_no_requests_and_is_said(registry: RegistryDouble, start: Start, weight: int) -> None:
    registry.nominate(2, 2, replace(ALL, weight=weight))
    worker = start()
    until(lambda: worker.ask("/readyz", "GET").json()["candidate"]["code"] == "terms")
    said = worker.ask("/readyz", "GET").json()["candidate"]
    assert f"a weight of {weight}: no share of the requests in percent, 0 to 100" in said["message"]
    assert (said["model_version"], said["hint"]) == (None, "passerelle rollout --candidate 2 --weight 10")
    assert answered_by(worker) == "1"
    registry.nominate(2, 3, ALL)
    until(lambda: candidate_of(worker) == (3, ""))


def test_a_candidate_without_terms_gets_no_requests_and_is_said(registry: RegistryDouble, start: Start) -> None:
    registry.nominate(2, 2, None, what="candidate")
    worker = start()
    until(lambda: worker.ask("/readyz", "GET").json()["candidate"]["code"] == "terms")
    assert "and not its weight" in worker.ask("/readyz", "GET").json()["candidate"]["message"]


def test_an_alias_that_was_moved_by_hand_is_no_candidate(registry: RegistryDouble, start: Start) -> None:
    registry.candidate = 2
    worker = start()
    until(lambda: worker.ask("/readyz", "GET").json()["candidate"]["code"] == "ledger")
    assert worker.ask("/readyz", "GET").json()["candidate"]["hint"] == "passerelle rollout --candidate 2"
    registry.promote(1, 2)
    assert answered_by(worker) == "1"


def test_a_promoted_candidate_answers_as_production(registry: RegistryDouble, start: Start) -> None:
    registry.nominate(2, 2, HALF)
    worker = start()
    until(lambda: candidate_of(worker) == (2, ""))
    registry.promote(2, 3)
    until(lambda: worker.version == "2")
    assert {answered_by(worker) for _ in range(10)} == {"2"}
    assert counted(worker).production.requests == 0


def test_a_client_may_insist_on_the_candidate_that_it_saw(registry: RegistryDouble, start: Start) -> None:
    registry.nominate(2, 2, HALF)
    worker = start()
    until(lambda: candidate_of(worker) == (2, ""))
    saw = {answered_by(worker, x_rollout_key=key): key for key in map(str, range(20))}
    assert answered_by(worker, x_rollout_key=saw["2"], x_least_model_version="2") == "2"
    assert worker.ask(x_rollout_key=saw["1"], x_least_model_version="2").status_code == 409
    assert worker.ask(x_rollout_key=saw["2"], x_least_model_version="two").status_code == 400


@pytest.mark.parametrize("error", [RuntimeError("broken"), RequestError(422, "invalid_record", "no")])
def test_production_answers_where_the_candidate_fails(
    registry: RegistryDouble, start: Start, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    registry.nominate(2, 2, ALL)
    worker = start()
    until(lambda: candidate_of(worker) == (2, ""))
    one = worker.runtime.predictor.one

    async def broken(model: Any, record: Any, params: Any = None) -> Any:
        if model.version == "2":
            raise error
        return await one(model, record)

    monkeypatch.setattr(worker.runtime.predictor, "one", broken)
    assert answered_by(worker) == "1"
    found = counted(worker).candidate
    assert (found.requests, found.errors.count) == (1, 1)


def test_a_candidate_that_breaks_a_limit_gets_no_more_requests(
    registry: RegistryDouble, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidate_worker, "_CHECK_S", 0.1)
    limits = {"max_error_share": 0.05, "min_requests": 50}
    registry.nominate(2, 2, replace(ALL, limits=limits))
    workers = [start(), start()]
    until(lambda: all(candidate_of(worker) == (2, "") for worker in workers))
    for _ in range(60):
        slot_of(workers[0]).counts.failed(2, "candidate", "2")
    reason = "the share of errors is 100.0%, and 5.0% is the most"
    until(lambda: all(candidate_of(worker) == (2, reason) for worker in workers))
    assert {answered_by(worker) for worker in workers} == {"1"}
    assert workers[1].ask("/readyz", "GET").json()["candidate"]["backed_out"] == reason
    assert counted(workers[1]).backed_out == 1
    # Neither a poll nor a restart forgets it; a new entry begins anew.
    for worker in workers:
        assert slot_of(worker).worker is not None
        slot_of(worker).worker.stop()  # type: ignore[union-attr]
    again = start()
    until(lambda: candidate_of(again) == (2, reason))
    registry.nominate(2, 3, ALL)
    until(lambda: candidate_of(again) == (3, ""))


def test_a_shadow_answers_nothing_and_is_compared(registry: RegistryDouble, start: Start) -> None:
    registry.nominate(2, 2, SHADOW)
    worker = start()
    until(lambda: candidate_of(worker) == (2, ""))
    assert {answered_by(worker) for _ in range(5)} == {"1"}
    until(lambda: counted(worker).candidate.requests == 5)
    found = counted(worker)
    assert (found.production.requests, found.agreement.value, found.dropped) == (5, 0.0, 0)
    assert found.probability_difference is not None


class Broken:
    version = "2"

    def rows(self, _: Any) -> Any:
        raise RuntimeError("broken")


def test_what_a_shadow_has_no_time_for_is_dropped_and_counted(registry: RegistryDouble, start: Start) -> None:
    worker = start()
    metrics: RolloutMetrics = slot_of(worker).counts
    queue = ShadowQueue(metrics, 0.5, most=2)
    item = ShadowRecord(2, worker.runtime.ready(), {"text": "merci"}, "merci", 0.9)
    for _ in range(5):
        queue.offer(item)
    queue.score(item)
    queue.score(item._replace(model=Broken()))  # type: ignore[arg-type]
    found = counted(worker)
    assert (found.dropped, found.agreement.count, found.candidate.errors.count, found.candidate.requests) == (3, 1, 1, 2)


def test_a_candidate_is_followed_only_where_the_settings_say_so(registry: RegistryDouble, start: Start, tmp_path: Path) -> None:
    registry.nominate(2, 2, ALL)
    worker = start(follow_candidate=False)
    assert worker.runtime.rollout is None
    assert "candidate" not in worker.ask("/readyz", "GET").json()
    for given, said in (
        ({"follow": ""}, "PASSERELLE_FOLLOW is not set"),
        ({"follow_ledger": "off"}, "PASSERELLE_FOLLOW_LEDGER is set to off"),
    ):
        settings = registry.settings(tmp_path, follow_candidate=True).model_copy(update=given)
        with pytest.raises(SettingsError, match=said):
            targets(settings, NAME)


def test_of_a_hundred_requests_fewer_than_one_waits_for_a_shadow(
    registry: RegistryDouble, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = start()
    queue, pauses, clock = ShadowQueue(slot_of(worker).counts, 0.5), list[float](), [0.0]

    class Once:
        def is_set(self) -> bool:
            return bool(pauses)

        def wait(self, timeout: float) -> None:
            pauses.append(timeout)

    def scored(_: ShadowRecord) -> None:
        clock[0] += 0.002

    monkeypatch.setattr(shadow, "time", type("Clock", (), {"perf_counter": staticmethod(lambda: clock[0])}))
    monkeypatch.setattr(queue, "_stopped", Once())
    monkeypatch.setattr(queue, "score", scored)
    queue.offer(ShadowRecord(2, worker.runtime.ready(), {"text": "merci"}, "merci", 0.9))
    queue._run()
    assert 0.002 / (0.002 + pauses[0]) < 0.01
