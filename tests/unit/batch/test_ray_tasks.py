"""Splits on a double of Ray: those that are lost are begun again, not for ever, and no file is written twice."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from passerelle.batch import line_ranges, ray_cluster, ray_tasks, table_plan
from passerelle.batch.job import ScoredTable, score_table
from passerelle.batch.processes import SplitCount, SplitTask, write_split
from passerelle.batch.table_file import LocalFolder
from passerelle.errors import DataError, OutsideError, PasserelleError, UsageError
from tests.unit.batch.tables import contents, job_of, recipe_of, score, table, write_csv, write_parquet


class RayError(Exception):
    """The base of Ray's errors."""


class RayTaskError(RayError):
    """A task raised an error."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class WorkerCrashedError(RayError):
    """A process was lost."""


class NodeDiedError(RayError):
    """A node was lost."""


class ObjectLostError(RayError):
    """A result or the model was lost with a node."""


class OutOfMemoryError(RayError):
    """A process was killed for memory."""


ERRORS = {each.__name__: each for each in (RayError, RayTaskError, WorkerCrashedError, NodeDiedError, ObjectLostError, OutOfMemoryError)}
Fate = Callable[[int], Exception | None]


class RayDouble(ModuleType):
    """Runs each task when its result is asked for; `fate` says what becomes of the task with this number."""

    def __init__(self, fate: Fate, cores: float = 2.0) -> None:
        super().__init__("ray")
        self.exceptions = SimpleNamespace(**ERRORS)
        self.fate, self.cores, self.begun, self.most, self.puts = fate, cores, 0, 0, 0
        self.waiting: dict[int, Callable[[], Any]] = {}
        self.init = self.shutdown = lambda *_, **__: None

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": self.cores}

    def put(self, content: bytes) -> bytes:
        self.puts += 1
        return content

    def remote(self, **options: int) -> Callable[[Callable[..., Any]], SimpleNamespace]:
        assert options == {"num_cpus": 1, "max_retries": 0}

        def deferred(function: Callable[..., Any], arguments: Sequence[Any]) -> int:
            self.begun += 1
            self.waiting[self.begun] = lambda: function(*arguments)
            self.most = max(self.most, len(self.waiting))
            return self.begun

        return lambda function: SimpleNamespace(remote=lambda *arguments: deferred(function, arguments))

    def wait(self, references: list[int], **_: Any) -> tuple[list[int], list[int]]:
        return (references[-1:], references[:-1]) if self.cores else ([], references)

    def get(self, reference: int) -> Any:
        work, error = self.waiting.pop(reference), self.fate(reference)
        if error is not None:
            raise error
        try:
            return work()
        except PasserelleError as cause:
            raise RayTaskError(cause) from cause

    def cancel(self, reference: int, *, force: bool) -> None:
        assert force
        del self.waiting[reference]


Scored = Callable[..., tuple[RayDouble, ScoredTable, list[str]]]


@pytest.fixture
def on_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scored]:
    """Yield what scores the tables on a double, and returns it with the result and the lines of progress."""
    monkeypatch.setattr(line_ranges, "RANGE_BYTES", 1_000)
    monkeypatch.setattr("passerelle.batch.table_file.CHUNK_BYTES", 64)
    monkeypatch.setattr(table_plan, "CHUNK_BYTES", 64)
    monkeypatch.setattr(ray_cluster, "find_spec", lambda _: object())
    rows = table(120)
    rows[50]["text"] = ""
    tables = [write_csv(tmp_path / "a.csv", rows), write_parquet(tmp_path / "b.parquet", rows)]
    score(tmp_path, *tables, output="whole")

    def scored(
        fate: Fate = lambda _: None, *, processes: int | None = None, cores: float = 2.0
    ) -> tuple[RayDouble, ScoredTable, list[str]]:
        ray = RayDouble(fate, cores)
        lines: list[str] = []
        monkeypatch.setitem(sys.modules, "ray", ray)
        done = score_table(
            job_of(*tables),
            recipe_of(tmp_path),
            LocalFolder(tmp_path / "out"),
            processes=processes,
            address="auto",
            dry_run=False,
            progress=lines.append,
        )
        assert ray.waiting == {}
        return ray, done, lines

    yield scored
    ray_tasks._Node.recipe = ray_tasks._Node.scoring = ray_tasks._Node.folder = None


@pytest.mark.parametrize("error", [WorkerCrashedError, NodeDiedError, ObjectLostError, OutOfMemoryError])
def test_lost_splits_are_begun_again(on_cluster: Scored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    writes: Counter[str] = Counter()
    write = LocalFolder.write

    def counting(folder: LocalFolder, name: str, content: bytes) -> None:
        writes[name] += 1
        write(folder, name, content)

    monkeypatch.setattr(LocalFolder, "write", counting)
    ray, done, lines = on_cluster(lambda number: error("lost") if number in {1, 2, 5} else None)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert set(writes.values()) == {1}
    assert (done.rows, done.refused_rows) == (238, 2)
    assert (ray.begun, ray.most) == (done.splits + 3, 4)
    assert ray.puts == (4 if error is ObjectLostError else 1)
    assert len([line for line in lines if line.endswith("scored again")]) == 3


def test_as_many_tasks_are_under_way_as_were_asked_for_and_the_first_have_several_splits(on_cluster: Scored, tmp_path: Path) -> None:
    ray, done, _ = on_cluster(processes=1)
    assert ray.most == 1
    assert 1 < ray.begun < done.splits
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_what_bounds_the_splits_of_a_task(on_cluster: Scored, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("_MOST_ROWS", "_MOST_UNDER_WAY"):
        with monkeypatch.context() as bounded:
            bounded.setattr(ray_tasks, name, 1)
            ray, done, _ = on_cluster(processes=1)
        assert ray.begun == done.splits
        shutil.rmtree(tmp_path / "out")


def test_splits_of_a_task_that_was_lost_go_alone(on_cluster: Scored, tmp_path: Path) -> None:
    whole, _, _ = on_cluster(processes=1)
    shutil.rmtree(tmp_path / "out")
    ray, _, lines = on_cluster(lambda number: NodeDiedError("lost") if number == 1 else None, processes=1)
    lost = len([line for line in lines if line.endswith("its node or its process was lost; scored again")])
    assert lost > 1
    assert ray.begun > whole.begun + lost / 2
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_what_a_task_scored_before_an_error_is_kept(on_cluster: Scored, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tried: list[str] = []

    def failing(task: SplitTask, *others: Any) -> SplitCount:
        tried.append(task.scored_name)
        if tried.index(task.scored_name) == 1:
            raise DataError("a.csv was changed")
        return write_split(task, *others)

    monkeypatch.setattr(ray_tasks, "write_split", failing)
    with pytest.raises(DataError, match=r"a\.csv was changed"):
        on_cluster(processes=1)
    assert (tmp_path / "out" / tried[0]).exists()
    assert tried.count(tried[0]) == 1


def test_what_is_lost_each_time_is_an_error(on_cluster: Scored) -> None:
    with pytest.raises(OutsideError, match=r"rows .* were begun 4 times, and each time its process was killed for memory"):
        on_cluster(lambda _: OutOfMemoryError("more than 95 %"))


def test_a_cluster_that_is_lost_is_an_error_and_the_same_command_goes_on(on_cluster: Scored, tmp_path: Path) -> None:
    with pytest.raises(OutsideError, match="the Ray cluster was lost"):
        on_cluster(lambda number: RayError("no driver") if number == 5 else None)
    with pytest.raises(OutsideError, match="the Ray cluster was lost"):
        on_cluster(lambda number: ConnectionError("no server") if number == 1 else None)
    _, done, _ = on_cluster()
    assert done.done_before > 0
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


@pytest.mark.parametrize(
    ("cause", "kind", "message"),
    [
        (DataError("a.csv is damaged", hint="ls -l a.csv"), DataError, r"^a\.csv is damaged$"),
        (ModuleNotFoundError("No module named 'passerelle'"), UsageError, "a node of the cluster lacks what passerelle needs: No module"),
        (ZeroDivisionError("by zero"), OutsideError, "could not score a split: ZeroDivisionError: by zero"),
    ],
)
def test_what_a_task_raises(on_cluster: Scored, cause: Exception, kind: type[PasserelleError], message: str) -> None:
    with pytest.raises(kind, match=message) as raised:
        on_cluster(lambda _: RayTaskError(cause))
    assert type(raised.value) is kind
    assert raised.value.hint


def test_a_node_with_another_passerelle_is_refused(on_cluster: Scored, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_tasks.NodeRecipe, "__init__", _older(ray_tasks.NodeRecipe.__init__))
    with pytest.raises(UsageError, match=r"a node of the cluster has passerelle .*, not 0\.0\.1"):
        on_cluster()


@pytest.mark.parametrize(
    "change",
    [
        lambda found: [replace(found[0], scored=None), *found[1:]],
        lambda found: [replace(found[0], refused=b"{}"), *found[1:]],
        lambda found: [replace(found[0], count=replace(found[0].count, rows=found[0].count.rows + 1)), *found[1:]],
        lambda found: [replace(found[0], count=replace(found[0].count, rows=found[0].count.rows + 9, refused_rows=-9)), *found[1:]],
        lambda found: [*found, found[0]],
        lambda _: [],
    ],
    ids=["no file", "another file", "other rows", "fewer than none", "more splits", "no split"],
)
def test_an_answer_that_was_not_asked_for_is_not_kept(
    on_cluster: Scored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Any], Any]
) -> None:
    on_node = ray_tasks.score_on_node
    monkeypatch.setattr(ray_tasks, "score_on_node", lambda *given: change(on_node(*given)))
    with pytest.raises(OutsideError, match="a node answered for other rows than"):
        on_cluster()
    assert not list((tmp_path / "out").glob("scored/*"))


def _older(make: Callable[..., None]) -> Callable[..., None]:
    return lambda self, digest, recipe, output, _: make(self, digest, recipe, output, "0.0.1")
