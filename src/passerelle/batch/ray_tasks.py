"""Score splits in tasks of a Ray cluster: the same splits, and the same files, as in processes of one machine."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from passerelle import __version__
from passerelle.batch.model_content import ModelContent, content_of, scoring_of, verified
from passerelle.batch.node_answer import NodeResult, check_answer
from passerelle.batch.processes import ScoringRecipe, SplitCount, SplitTask, write_split
from passerelle.batch.ray_cluster import INSTALL, STATUS, connected, cores
from passerelle.batch.scored_split import Scoring
from passerelle.batch.table_file import LocalFolder, OutputFolder
from passerelle.batch.table_pieces import with_content
from passerelle.errors import OutsideError, PasserelleError, UsageError

#: How often a split is begun before its loss is an error: a split that a node cannot hold would be tried for ever.
MOST_TRIES = 4
#: Tasks that are under way at once, for each core of the cluster.
_WAITING = 2
#: Splits of one task: each task costs the cluster and the machine that leads as much as 20 ms of scoring. Few rows, since a task that is
#: lost is done again; and few splits that are under way, since their bytes lie in memory.
_MOST_SPLITS, _MOST_ROWS, _MOST_UNDER_WAY = 8, 100_000, 512
_LOOK_S = 20.0
#: So often without a core and without an answer, and the cluster is gone.
_LOOKS_WITHOUT_CORES = 6


@dataclass
class _Files:
    """An output that keeps its files for the machine that can write them."""

    name: str = "a node of the cluster"
    files: dict[str, bytes] = field(default_factory=dict)

    def names(self) -> Sequence[str]:
        return list(self.files)

    def read(self, name: str) -> bytes:
        return self.files[name]

    def write(self, name: str, content: bytes) -> None:
        self.files[name] = content


class _Node:
    """What a process of a node keeps between two splits: the scoring by this recipe."""

    recipe: NodeRecipe | None = None
    scoring: Scoring | None = None
    folder: tempfile.TemporaryDirectory[str] | None = None


@dataclass(frozen=True)
class NodeRecipe:
    """What a node needs to score besides the model and a split.

    Attributes:
        digest: That the content of the model must have.
        recipe: How the model is loaded.
        output: None where it lies on the disk of the machine that leads.
        version: Of passerelle there.
    """

    digest: str
    recipe: ScoringRecipe
    output: OutputFolder | None
    version: str


def score_on_node(tasks: Sequence[SplitTask], content: bytes, node: NodeRecipe) -> list[NodeResult]:
    """Score splits on a node; writes their files where the output can be reached from everywhere, and returns them otherwise.

    Args:
        content: Of the model.

    Returns:
        One result a split; of the first ones alone where a later one raises an error, so that they are not lost.

    Raises:
        UsageError: This node has another version of passerelle.
        IntegrityError: As `scoring_of`.
        PasserelleError: As `write_split`, of the first split.
    """
    if node.version != __version__:
        message = f"a node of the cluster has passerelle {__version__}, not {node.version}"
        raise UsageError(message, hint=INSTALL)
    if _Node.recipe != node or _Node.scoring is None:
        _Node.scoring, _Node.folder = scoring_of(content, node.digest, node.recipe)
        _Node.recipe = node
    found: list[NodeResult] = []
    for task in tasks:
        files = _Files()
        try:
            count = write_split(task, _Node.scoring, node.output or files)
        except Exception:
            if not found:
                raise
            break
        found.append(NodeResult(count, files.files.get(task.scored_name), files.files.get(task.refused_name)))
    return found


def write_splits_on_cluster(
    tasks: Sequence[SplitTask],
    recipe: ScoringRecipe,
    output: OutputFolder,
    *,
    address: str,
    most: int | None,
    progress: Callable[[str], None],
) -> Iterator[SplitCount]:
    """Score splits on a cluster and yield what became of each, as they end.

    A split whose node or process is lost is scored again elsewhere. Files for the disk of this machine are written here; S3 is written by
    the nodes, whose conditional writes let one of two equal files win.

    Args:
        address: Of the cluster; see `check_address`.
        most: How many splits are scored at once; None for as many as the cluster has cores for.
        progress: Told when splits are scored again.

    Raises:
        OutsideError: The cluster does not answer or is lost, a split was lost too often, or the output cannot be written.
        UsageError: As `connected`, or a node has another passerelle.
        DataError: A split cannot be read.
    """
    if not tasks:
        return
    model = content_of(recipe.model_folder)
    scoring, recipe = verified(model, recipe)
    columns = tuple(dict.fromkeys((*(column.name for column in scoring.model.description.columns), *recipe.ids)))
    del scoring
    with connected(address) as ray:
        node = NodeRecipe(model.digest, recipe, None if isinstance(output, LocalFolder) else output, __version__)
        work = _ClusterWork(ray, model, node, columns=columns, progress=progress)
        for task, result in work.results(tasks, most):
            # The scored rows last, since their file says that the split is done.
            for name, content in ((task.refused_name, result.refused), (task.scored_name, result.scored)):
                if content is not None:
                    output.write(name, content)
            yield result.count


class _ClusterWork:
    """Splits that are under way on a cluster."""

    def __init__(self, ray: Any, model: ModelContent, node: NodeRecipe, *, columns: Sequence[str], progress: Callable[[str], None]) -> None:
        errors = ray.exceptions
        self._ray, self._model, self._node, self._columns, self._progress = ray, model, node, columns, progress
        # Ray's own retries are without bound where a process is killed for memory: lost splits are begun again here, and counted.
        self._score = ray.remote(num_cpus=1, max_retries=0)(score_on_node)
        self._content = ray.put(model.content)
        self._memory = errors.OutOfMemoryError
        self._lost = (errors.WorkerCrashedError, errors.NodeDiedError, errors.ObjectLostError, errors.OutOfMemoryError)
        self._running: dict[Any, Sequence[SplitTask]] = {}
        self._tries: dict[str, int] = {}

    def results(self, tasks: Sequence[SplitTask], most: int | None) -> Iterator[tuple[SplitTask, NodeResult]]:
        """Yield each split with its result, as they end."""
        waiting = deque(tasks)
        try:
            while waiting or self._running:
                under_way = most or max(cores(self._ray), 1) * _WAITING
                while waiting and len(self._running) < under_way:
                    self._begin(self._next(waiting, under_way))
                for reference in self._ended():
                    begun = self._running.pop(reference)
                    results = self._result(reference, begun)
                    yield from zip(begun, results, strict=False)
                    waiting.extend(begun[len(results) :])
        except ConnectionError as error:
            raise _lost_cluster() from error
        finally:
            for reference in self._running:
                self._ray.cancel(reference, force=True)

    def _next(self, waiting: deque[SplitTask], under_way: int) -> Sequence[SplitTask]:
        """Take the splits of the next task; fewer towards the end, so that no core waits long for the last one."""
        found = [waiting.popleft()]
        most = min(_MOST_SPLITS, _MOST_UNDER_WAY // under_way, (len(waiting) + 1) // (2 * under_way))
        # One that was begun before goes alone: what ended its task may be of its own making.
        while len(found) < most and not {found[-1].scored_name, waiting[0].scored_name} & self._tries.keys():
            if sum(task.split.rows for task in found) + waiting[0].split.rows > _MOST_ROWS:
                break
            found.append(waiting.popleft())
        return found

    def _begin(self, tasks: Sequence[SplitTask]) -> None:
        """Begin a task; its bytes leave this machine now and not before."""
        for task in tasks:
            self._tries[task.scored_name] = self._tries.get(task.scored_name, 0) + 1
        carried = [replace(task, split=with_content(task.split, self._columns)) for task in tasks]
        self._running[self._score.remote(carried, self._content, self._node)] = tasks

    def _ended(self) -> Sequence[Any]:
        """Return the tasks that ended; waits for the first."""
        for _ in range(_LOOKS_WITHOUT_CORES):
            while True:
                ended: Sequence[Any] = self._ray.wait(list(self._running), num_returns=1, timeout=_LOOK_S)[0]
                if ended:
                    return ended
                if not cores(self._ray):
                    break
        raise _lost_cluster()

    def _result(self, reference: Any, tasks: Sequence[SplitTask]) -> Sequence[NodeResult]:
        """Return the results of a task's splits; of none where it was lost, and of the first ones where a later one failed."""
        try:
            found: Sequence[NodeResult] = self._ray.get(reference)
        except self._lost as error:
            self._note_loss(tasks, error)
            return ()
        except self._ray.exceptions.RayTaskError as error:
            raise _task_error(error) from error
        except self._ray.exceptions.RayError as error:
            raise _lost_cluster() from error
        check_answer(tasks, found, returned=self._node.output is None)
        return found

    def _note_loss(self, tasks: Sequence[SplitTask], error: Exception) -> None:
        """Tell that splits are begun again, or raise an error where that was done too often."""
        memory, tries = isinstance(error, self._memory), self._tries[tasks[0].scored_name]
        what = "its process was killed for memory" if memory else "its node or its process was lost"
        if tries >= MOST_TRIES:
            message = f"{_rows(tasks[0])} were begun {tries} times, and each time {what}; what is written so far is kept"
            hint = "passerelle score --address auto --processes 1 --input INPUT --output OUTPUT\nray status"
            raise OutsideError(message, hint=hint) from error
        if isinstance(error, self._ray.exceptions.ObjectLostError):
            self._content = self._ray.put(self._model.content)
        for task in tasks:
            self._progress(f"{_rows(task)}: {what}; scored again")


def _lost_cluster() -> OutsideError:
    return OutsideError("the Ray cluster was lost; what is written so far is kept, and the same command goes on", hint=STATUS)


def _rows(task: SplitTask) -> str:
    split = task.split
    return f"rows {split.first_row:,} to {split.first_row + split.rows - 1:,} of {split.file.name}"


def _task_error(error: Any) -> PasserelleError:
    """Return what a task raised; Ray wraps it."""
    cause = error.cause
    if isinstance(cause, PasserelleError):
        return type(cause)(cause.message, hint=cause.hint)
    text = " ".join(str(cause if cause is not None else error).split())[-500:]
    if "ModuleNotFoundError" in f"{type(cause).__name__}: {text}" or "No module named" in text:
        return UsageError(f"a node of the cluster lacks what passerelle needs: {text}", hint=INSTALL)
    return OutsideError(f"a node of the cluster could not score a split: {type(cause).__name__}: {text}", hint=STATUS)
