"""What a node of a cluster says of its splits, checked before it is believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from passerelle.batch.processes import SplitCount, SplitTask
from passerelle.errors import OutsideError


@dataclass(frozen=True)
class NodeResult:
    """What a node has made of a split, with the files that it could not write itself. A node does not choose their names."""

    count: SplitCount
    scored: bytes | None
    refused: bytes | None


def check_answer(tasks: Sequence[SplitTask], results: Sequence[NodeResult], *, returned: bool) -> None:
    """Check that an answer is one for these splits, or for the first ones: their numbers of rows, with their files.

    Args:
        returned: Whether the node can write no file.

    Raises:
        OutsideError: It is not.
    """
    for task, result in zip(tasks, results, strict=False):
        count = result.count
        counted = min(count.rows, count.refused_rows) >= 0 and count.rows + count.refused_rows == task.split.rows
        files = (result.scored is not None, result.refused is not None)
        if not counted or files != (returned, returned and count.refused_rows > 0):
            raise _other_answer(task)
    if not 0 < len(results) <= len(tasks):
        raise _other_answer(tasks[0])


def _other_answer(task: SplitTask) -> OutsideError:
    split = task.split
    message = f"a node answered for other rows than {split.first_row:,} to {split.first_row + split.rows - 1:,} of {split.file.name}"
    return OutsideError(f"{message}; nothing of its answer was kept", hint="ray status")
