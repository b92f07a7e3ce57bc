"""A clock that is a day off changes what an entry is dated, and nothing that is decided."""

from __future__ import annotations

import ast
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from botocore.exceptions import ClientError

from passerelle.criteria import Criteria
from passerelle.errors import BusyError, OutsideError
from passerelle.registry.objects import Objects
from passerelle.registry.verified import verified_ledger
from passerelle.settings import S3Settings
from passerelle.stages.judgement import PromotionRequest
from passerelle.stages.promote import promote
from passerelle.stages.rollback import rollback
from passerelle.stages.withdrawal import withdrawal_of
from tests.syntax_trees import nodes_of
from tests.unit.registry.ledger_forgeries import found, put
from tests.unit.registry.memory import NAME, Bucket, Mlflow, real, ref
from tests.unit.registry.test_looks import look, taken

PACKAGE = Path(__file__).resolve().parents[3] / "src" / "passerelle"


def off_by(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    monkeypatch.setattr(
        "passerelle.registry.ledger.now", lambda: (datetime.now(UTC) + timedelta(days=days)).isoformat(timespec="milliseconds")
    )


def decided(mlflow: Mlflow) -> list[tuple[str, int | None, int]]:
    return [(entry.what, entry.from_version, entry.to_version) for entry in found(mlflow).entries]


@pytest.mark.parametrize("days", [(0, -1, 1, 0), (0, 1, -1, 0), (1, 0, 0, -1), (-1, 1, 1, -1)])
def test_machines_whose_clocks_differ_decide_the_same(monkeypatch: pytest.MonkeyPatch, days: tuple[int, ...]) -> None:
    mlflow = Mlflow(Bucket())
    registry = real(mlflow)
    steps: tuple[Callable[[], object], ...] = (
        lambda: put(mlflow, 1),
        lambda: put(mlflow, 2),
        lambda: rollback(registry, who="marie@here"),
        lambda: promote(registry, ref=ref(1), criteria=Criteria(), request=PromotionRequest(who="marie@here")),
    )
    for step, day in zip(steps, days, strict=True):
        off_by(monkeypatch, day)
        step()
    assert decided(mlflow) == [("promote", None, 1), ("promote", 1, 2), ("rollback", 2, 1)]
    assert found(mlflow).findings == ()
    assert withdrawal_of(found(mlflow).entries, ref(2)) is not None
    assert withdrawal_of(found(mlflow).entries, ref(1)) is None
    assert verified_ledger(registry, NAME).in_production == 1


@pytest.mark.parametrize("days", [-1, 1])
def test_looks_are_counted_in_the_order_in_which_they_were_taken(mlflow_days: Mlflow, days: int) -> None:
    when = [(datetime.now(UTC) + timedelta(days=each)).isoformat() for each in (0, days, 0)]
    assert [taken(mlflow_days, replace(look(run), when=at)).number for run, at in zip("abc", when, strict=True)] == [1, 2, 3]


@pytest.fixture
def mlflow_days() -> Mlflow:
    return Mlflow(Bucket())


@pytest.mark.parametrize("days", [-1, 1])
def test_a_promotion_that_is_undone_is_undone_by_any_clock(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    mlflow = Mlflow(Bucket())
    put(mlflow, 1)
    off_by(monkeypatch, days)

    def fails(what: str) -> None:
        if what == "stage Production":
            mlflow.before_write = lambda _: None
            raise OutsideError("no")

    mlflow.before_write = fails
    with pytest.raises(OutsideError):
        put(mlflow, 2)
    off_by(monkeypatch, 0)
    assert (decided(mlflow)[-1], found(mlflow).findings) == (("undone", 2, 1), ())
    assert put(mlflow, 3).changed


def test_register_import_compare_and_the_gate_ask_no_clock_of_this_machine() -> None:
    """The ledger dates its entries, and a training of the future is none: by two days, as much as two clocks that are a day off."""
    asked = []
    for folder in ("registry", "gate"):
        asked += [f"{folder}/{path.name}" for path in sorted((PACKAGE / folder).rglob("*.py")) if _asks_the_clock(path)]
    for name in (
        "register",
        "import_model",
        "compare",
        "promote",
        "promotion",
        "rollback",
        "champion",
        "withdrawal",
        "candidate_gate",
        "judgement",
    ):
        asked += [f"stages/{name}"] if _asks_the_clock(PACKAGE / "stages" / f"{name}.py") else []
    # The last compares clocks for the doctor, and decides nothing.
    assert asked == ["registry/entities.py", "registry/ledger.py", "registry/s3_behaviour.py"]


def _asks_the_clock(path: Path) -> bool:
    calls = (ast.unparse(node.func) for node in nodes_of(path) if isinstance(node, ast.Call))
    return any(call in {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "date.today"} for call in calls)


def test_an_s3_server_that_refuses_a_wrong_clock_is_said_in_words() -> None:
    class Refuses:
        def get_object(self, **_: object) -> None:
            raise ClientError({"Error": {"Code": "RequestTimeTooSkewed"}}, "GetObject")

    objects = Objects(S3Settings.read(bucket="b", endpoint_url="http://there"))
    objects._cached_client = cast("None", Refuses())
    with pytest.raises(OutsideError, match="the clock of this machine is not that of the S3 server"):
        objects.read("ledger/comments/head.json")


@pytest.mark.parametrize("step", range(14))
@pytest.mark.parametrize("meanwhile", ["nothing", "promote", "rollback"])
def test_a_rollback_that_was_put_back_leaves_a_ledger_that_verifies(step: int, meanwhile: str) -> None:
    """A rollback fails at each of its writes in turn; somebody else goes on before it puts all back, or not."""
    mlflow = Mlflow(Bucket(), versions=4)
    for version in (1, 2):
        put(mlflow, version)
    writes = 0

    def fails(what: str) -> None:
        nonlocal writes
        writes += 1
        if writes == step + 1:
            mlflow.before_write = mlflow.objects.before_write = lambda _: None
            if meanwhile != "nothing":
                key = next(iter(key for key in mlflow.objects.held if key.endswith("lock.json")), None)
                mlflow.objects.ages_s |= {key: 1e6} if key else {}
                put(mlflow, 3) if meanwhile == "promote" else rollback(real(mlflow), who="paul@here", version=1)
            raise OutsideError(f"{what} is not written")

    mlflow.before_write = mlflow.objects.before_write = fails
    with suppress(OutsideError, BusyError):
        rollback(real(mlflow), who="marie@here")
    mlflow.before_write = mlflow.objects.before_write = lambda _: None
    told = found(mlflow)
    assert (told.findings, told.damaged_head) == ((), None)
    assert put(mlflow, 4).changed
    assert found(mlflow).findings == ()
