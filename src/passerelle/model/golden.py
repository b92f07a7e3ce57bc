"""Golden predictions: outputs that the training process saw, or adoption, replayed at every later stage."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from passerelle.errors import TRAIN_AGAIN, DamagedFileError, GoldenError
from passerelle.regular_file import MOST_MODEL_BYTES, read_json_file

#: The value that training writes; a file may set less, never more.
MOST_TOLERANCE = 1e-6

#: Difference of two numbers near zero that counts as none.
_NO_DIFFERENCE = 1e-12
_LONGEST_VALUES = 200

#: Takes records, returns the label of each and its probabilities in the order of `Golden.classes`, or None without probabilities.
Predict = Callable[[Sequence[Mapping[str, object]]], tuple[Sequence[object], Sequence[Sequence[float]] | None]]


@dataclass(frozen=True)
class Golden:
    """Inputs, and the outputs that the training process saw for them.

    Attributes:
        inputs: n records.
        labels: n labels; of a model that is no classifier, n values as `model/host/values.py` encodes them.
        classes: k classes, in the order of the model.
        probabilities: n rows of k, or None for a model without probabilities.
        tolerance: Largest difference of a probability that counts as the same; never more than `MOST_TOLERANCE`.
        vectors: Whether the numbers of a label are one vector, such as an embedding: single precision makes those near zero as exact as
            its length, and they are compared as shares of that.
    """

    inputs: tuple[Mapping[str, object], ...]
    labels: tuple[object, ...]
    classes: tuple[object, ...]
    probabilities: tuple[tuple[float, ...], ...] | None
    tolerance: float
    vectors: bool = False


def read_golden(path: Path) -> Golden:
    """Return the golden predictions of the file.

    Raises:
        IntegrityError: The file is missing, is not of schema 1, or holds no input.
    """
    try:
        content = read_json_file(path, MOST_MODEL_BYTES)
        rows = content["probabilities"]
        probabilities = None if rows is None else tuple(tuple(map(float, row)) for row in rows)
        inputs = tuple(dict(record) for record in content["inputs"])
        golden = Golden(inputs, tuple(content["labels"]), tuple(content["classes"]), probabilities, float(content["tolerance"]))
        golden = replace(golden, vectors=content.get("vectors") is True)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedFileError(f"{path.name} holds no golden predictions", hint=TRAIN_AGAIN) from error
    if content.get("schema") != 1 or not golden.inputs or len(golden.inputs) != len(golden.labels):
        raise DamagedFileError(f"{path.name} holds no golden predictions of schema 1", hint=TRAIN_AGAIN)
    if probabilities is not None and (len(probabilities) != len(inputs) or any(len(row) != len(golden.classes) for row in probabilities)):
        raise DamagedFileError(f"{path.name} holds another number of probabilities than of inputs and classes", hint=TRAIN_AGAIN)
    if not golden.tolerance >= 0:
        raise DamagedFileError(f"{path.name} has no usable tolerance", hint=TRAIN_AGAIN)
    return replace(golden, tolerance=min(golden.tolerance, MOST_TOLERANCE))


def replay(golden: Golden, predict: Predict) -> float:
    """Return the largest difference of a probability between what was seen at training and what is predicted now.

    Raises:
        IntegrityError: A label differs, or a probability by more than the tolerance; names the input's place, never its text.
    """
    labels, probabilities = predict(golden.inputs)
    if len(labels) != len(golden.labels):
        raise GoldenError(f"{len(golden.labels)} golden inputs got {len(labels)} predictions", hint="passerelle status")
    for place, (seen, now) in enumerate(zip(golden.labels, labels, strict=True)):
        if not same_value(seen, now, tolerance=golden.tolerance, vectors=golden.vectors):
            raise GoldenError(_difference(place, seen, now), hint="passerelle status")
    if golden.probabilities is None or probabilities is None:
        return 0.0
    if len(probabilities) != len(golden.probabilities) or any(len(row) != len(golden.classes) for row in probabilities):
        raise GoldenError(f"the model gives other probabilities than for its {len(golden.classes)} classes", hint=TRAIN_AGAIN)
    largest = 0.0
    for place, (row, now_row) in enumerate(zip(golden.probabilities, probabilities, strict=True)):
        differences = [abs(a - float(b)) for a, b in zip(row, now_row, strict=True)]
        # `max` passes over a NaN that is not the first.
        difference = max(differences) if all(map(math.isfinite, differences)) else math.nan
        if not difference <= golden.tolerance:
            message = f"the golden prediction {place} differs by {difference:.3g}, which is more than {golden.tolerance:g}"
            raise GoldenError(f"{message}: it needs the libraries that it was trained with", hint=TRAIN_AGAIN)
        largest = max(largest, difference)
    return largest


def same_value(seen: object, now: object, *, tolerance: float = MOST_TOLERANCE, vectors: bool = False) -> bool:
    """Return whether two values of predictions are the same: numbers with a fraction within the relative tolerance, NaN equal to NaN.

    Args:
        vectors: Whether an object of numbers is one vector, whose numbers may differ by the tolerance times its length.
    """
    if vectors and isinstance(seen, Mapping) and isinstance(now, Mapping):
        return _same_vector(seen, now, tolerance)
    if isinstance(seen, float) and isinstance(now, float):
        both_nan = math.isnan(seen) and math.isnan(now)
        return both_nan or math.isclose(seen, now, rel_tol=tolerance, abs_tol=min(tolerance, _NO_DIFFERENCE))
    if isinstance(seen, Mapping) and isinstance(now, Mapping):
        return seen.keys() == now.keys() and all(same_value(seen[name], now[name], tolerance=tolerance) for name in seen)
    if isinstance(seen, list | tuple) and isinstance(now, list | tuple):
        return len(seen) == len(now) and all(same_value(a, b, tolerance=tolerance) for a, b in zip(seen, now, strict=True))
    return isinstance(seen, bool) == isinstance(now, bool) and seen == now


def _same_vector(seen: Mapping[Any, object], now: Mapping[Any, object], tolerance: float) -> bool:
    numbers = [value for value in (*seen.values(), *now.values()) if isinstance(value, float) and math.isfinite(value)]
    if seen.keys() != now.keys() or len(numbers) != 2 * len(seen):
        return same_value(seen, now, tolerance=tolerance)
    former, latter = numbers[: len(seen)], [dict(now)[name] for name in seen]
    least = tolerance * math.hypot(*former)
    return all(isinstance(b, float) and abs(a - b) <= least for a, b in zip(former, latter, strict=True))


def golden_content(
    inputs: Sequence[Mapping[str, object]],
    values: Sequence[object],
    classes: Sequence[object],
    probabilities: Sequence[Sequence[float]] | None,
    *,
    vectors: bool = False,
) -> dict[str, object]:
    """Return the content of the file of golden predictions, of a model of any task.

    Args:
        inputs: n records, as JSON has them.
        values: n values: labels, numbers, lists of labels or objects of named outputs, as JSON has them.
        classes: The classes, in the order of the probabilities; empty for a model that has none.
        probabilities: n rows, or None for a model without probabilities.
        vectors: As `Golden` has it.
    """
    return {
        "schema": 1,
        "inputs": [dict(record) for record in inputs],
        "labels": list(values),
        "classes": list(classes),
        "probabilities": None if probabilities is None else [list(row) for row in probabilities],
        "tolerance": MOST_TOLERANCE,
        **({"vectors": True} if vectors else {}),
    }


def _difference(place: int, seen: object, now: object) -> str:
    """Return what is said of two values that differ; no more than that of values that may hold words of a record."""
    plain = (str, int, float, bool)
    if isinstance(seen, plain) and isinstance(now, plain) and len(f"{seen}{now}") <= _LONGEST_VALUES:
        return f"the golden prediction {place} was '{seen}' at training and is '{now}' now"
    return f"the golden prediction {place} is not what it was when it was recorded"
