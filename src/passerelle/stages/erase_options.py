"""Which answers to erase: refused where one of them is none, without importing what erases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from passerelle.errors import UsageError
from passerelle.model.prediction_id import is_prediction_id

_MOST_IDS = 100_000
_MOST_FILE_BYTES = 64 * _MOST_IDS


def ids_to_erase(prediction_ids: Sequence[str], file: Path | None) -> frozenset[str]:
    """Return the ids that were named and those of the file, each once.

    Raises:
        UsageError: There are none or too many, one is no id of an answer, or the file cannot be read; nothing was erased then.
    """
    ids = (*prediction_ids, *(_ids_in(file) if file else ()))
    if not ids:
        raise UsageError("no answer is named", hint="passerelle erase PREDICTION_ID\npasserelle erase --file FILE")
    lowered = [each.strip().lower() for each in ids]
    wrong = [number for number, each in enumerate(lowered, start=1) if not is_prediction_id(each)]
    if wrong:
        message = f"{len(wrong)} of {len(ids)} ids are not ids of answers, the first of them is number {wrong[0]}; nothing was erased"
        raise UsageError(f"{message}. An answer holds its id as `prediction_id`, such as 01939a3c-7c00-7abc-8def-0123456789ab")
    chosen = frozenset(lowered)
    if len(chosen) > _MOST_IDS:
        raise UsageError(f"{len(chosen):,} ids are more than the {_MOST_IDS:,} that are erased at a time; nothing was erased")
    return chosen


def _ids_in(path: Path) -> Iterator[str]:
    try:
        if path.stat().st_size > _MOST_FILE_BYTES:
            raise UsageError(f"{path} is too large for a list of at most {_MOST_IDS:,} ids, one a line")
        yield from (line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as a list of ids, one a line: {error}") from error
