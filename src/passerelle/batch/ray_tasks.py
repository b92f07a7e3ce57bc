"""Score splits in tasks of a Ray cluster: the same splits, and the same files, as in processes of one machine."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from passerelle import __version__
from passerelle.batch.model_content import ModelContent, content_of, scoring_of, verified
from passerelle.batch.node_answer import check_answer
from passerelle.batch.processes import ScoringRecipe, SplitCount, SplitTask, write_split
from passerelle.batch.ray_cluster import INSTALL, STATUS, connected, cores
from passerelle.batch.scored_split import Scoring
from passerelle.batch.table_file import LocalFolder, OutputFolder
from passerelle.batch.table_pieces import with_content
from passerelle.errors import OutsideError, PasserelleError, UsageError

#: How often a split is begun before its loss is an error: a split that a node cannot hold would be tried for ever.
MOST_TRIES = 4
#: Splits that are under way at once, for each core of the cluster.
_WAITING = 2
_LOOK_S = 20.0
#: So often without a core and without an answer, and the cluster is gone.
_LOOKS_WITHOUT_CORES = 6


@dataclass
class _Files:
    """An output that keeps its files for the machine that can write them."""

    name: str = "a node of the cluster"
    files: list[tuple[str, bytes]] = field(default_factory=list)

    def names(self) -> Sequence[str]:
        return [name for name, _ in self.files]

    def read(self, name: str) -> bytes:
        return dict(self.files)[name]

    def write(self, name: str, content: bytes) -> None:
        self.files.append((name, content))


@dataclass(frozen=True)
class NodeResult:
    """What a node has made of a split, and the files that it could not write itself."""

    count: SplitCount
    files: tuple[tuple[str, bytes], ...]


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


def score_on_node(task: SplitTask, content: bytes, node: NodeRecipe) -> NodeResult:
    """Score a split on a node; writes its files where the output can be reached from everywhere, and returns them otherwise.

    Args:
        content: Of the model.

    Raises:
        UsageError: This node has another version of passerelle.
        IntegrityError: As `scoring_of`.
    """
    if node.version != __version__:
        message = f"a node of the cluster has passerelle {__version__}, not {node.version}"
        raise UsageError(message, hint=INSTALL)
    if _Node.recipe != node or _Node.scoring is None:
        _Node.scoring, _Node.folder = scoring_of(content, node.digest, node.recipe)
        _Node.recipe = node
    files = _Files()
    return NodeResult(write_split(task, _Node.scoring, node.output or files), tuple(files.files))


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
        for result in work.results(tasks, most):
            for name, content in result.files:
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
        self._running: dict[Any, SplitTask] = {}
        self._tries: dict[str, int] = {}

    def results(self, tasks: Sequence[SplitTask], most: int | None) -> Iterator[NodeResult]:
        """Yield the result of each split, as they end."""
        waiting = deque(tasks)
        try:
            while waiting or self._running:
                room = (most or max(cores(self._ray), 1) * _WAITING) - len(self._running)
                for _ in range(min(room, len(waiting))):
                    self._begin(waiting.popleft())
                for reference in self._ended():
                    task = self._running.pop(reference)
                    result = self._result(reference, task)
                    if result is None:
                        waiting.append(task)
                    else:
                        yield result
        except ConnectionError as error:
            raise _lost_cluster() from error
        finally:
            for reference in self._running:
                self._ray.cancel(reference, force=True)

    def _begin(self, task: SplitTask) -> None:
        """Begin a split; its bytes leave this machine now and not before."""
        self._tries[task.scored_name] = self._tries.get(task.scored_name, 0) + 1
        carried = replace(task, split=with_content(task.split, self._columns))
        self._running[self._score.remote(carried, self._content, self._node)] = task

    def _ended(self) -> Sequence[Any]:
        """Return the splits that ended; waits for the first."""
        for _ in range(_LOOKS_WITHOUT_CORES):
            while True:
                ended: Sequence[Any] = self._ray.wait(list(self._running), num_returns=1, timeout=_LOOK_S)[0]
                if ended:
                    return ended
                if not cores(self._ray):
                    break
        raise _lost_cluster()

    def _result(self, reference: Any, task: SplitTask) -> NodeResult | None:
        """Return the result of a split; None where it was lost and is to be begun again."""
        try:
            found: NodeResult = self._ray.get(reference)
        except self._lost as error:
            self._note_loss(task, error)
            return None
        except self._ray.exceptions.RayTaskError as error:
            raise _task_error(error) from error
        except self._ray.exceptions.RayError as error:
            raise _lost_cluster() from error
        check_answer(task, found.count, found.files, returned=self._node.output is None)
        return found

    def _note_loss(self, task: SplitTask, error: Exception) -> None:
        """Tell that a split is begun again, or raise an error where that was done too often."""
        memory, tries = isinstance(error, self._memory), self._tries[task.scored_name]
        what = "its process was killed for memory" if memory else "its node or its process was lost"
        if tries >= MOST_TRIES:
            message = f"{_rows(task)} were begun {tries} times, and each time {what}; what is written so far is kept"
            hint = "passerelle score --address auto --processes 1 --input INPUT --output OUTPUT\nray status"
            raise OutsideError(message, hint=hint) from error
        if isinstance(error, self._ray.exceptions.ObjectLostError):
            self._content = self._ray.put(self._model.content)
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
