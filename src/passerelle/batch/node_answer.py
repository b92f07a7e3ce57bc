"""What a node of a cluster says of a split, checked before it is believed."""

from __future__ import annotations

from collections.abc import Sequence

from passerelle.batch.processes import SplitCount, SplitTask
from passerelle.errors import OutsideError


def check_answer(task: SplitTask, count: SplitCount, files: Sequence[tuple[str, bytes]], *, returned: bool) -> None:
    """Check that an answer is one for this split: its number of rows, and no other files than the split's.

    Args:
        files: That the node could not write itself, with their names.
        returned: Whether the node can write none.

    Raises:
        OutsideError: It is not.
    """
    names = [name for name, _ in files]
    expected = [task.refused_name] * (count.refused_rows > 0) + [task.scored_name] if returned else []
    counted = min(count.rows, count.refused_rows) >= 0 and count.rows + count.refused_rows == task.split.rows
    if not counted or names != expected:
        split = task.split
        message = f"a node answered for other rows than {split.first_row:,} to {split.first_row + split.rows - 1:,} of {split.file.name}"
        raise OutsideError(f"{message}; nothing of its answer was kept", hint="ray status")
