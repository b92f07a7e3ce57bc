"""Where two fitted models differ in what they hold: array by array and setting by setting, whatever library they are of."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Relative difference of two numbers that counts as rounding: sums may be in another order on another processor.
ROUNDING = 1e-6
_NEAR_ZERO = 1e-9
_DEEPEST = 60
#: Written at saving, by the library that saves.
_NOT_FITTED = frozenset({"_sklearn_version"})


def state_differences(one: object, other: object, *, most: int = 20) -> tuple[str, ...]:
    """Return where two models differ: the path of each part, and by how much; no content of a text.

    Args:
        most: Parts that are named.
    """
    return tuple(islice(_differences(one, other, "", _DEEPEST), most))


def _differences(one: Any, other: Any, path: str, depth: int) -> Iterator[str]:
    if one is other or depth == 0:
        return
    if type(one).__qualname__ != type(other).__qualname__:
        yield f"{path}: {type(one).__name__}, and {type(other).__name__} again"
    elif isinstance(one, np.ndarray):
        yield from _of_arrays(one, other, path, depth)
    elif isinstance(one, Mapping):
        yield from _of_mappings(one, other, path, depth)
    elif isinstance(one, list | tuple):
        yield from _of_sequences(one, other, path, depth)
    elif isinstance(one, Callable) and hasattr(one, "__qualname__"):  # type: ignore[arg-type]
        yield from _of_plain(f"{one.__module__}.{one.__qualname__}", f"{other.__module__}.{other.__qualname__}", path)
    elif isinstance(one, float | np.floating):
        if not math.isclose(one, other, rel_tol=ROUNDING, abs_tol=_NEAR_ZERO) and not (math.isnan(one) and math.isnan(other)):
            yield f"{path}: differs by {float(one) - float(other):.3g}"
    elif isinstance(one, str | bytes | bool | int | complex | set | frozenset | np.generic | None):
        yield from _of_plain(one, other, path)
    else:
        states = [_state(each) for each in (one, other)]
        yield from _differences(states[0], states[1], path, depth - 1)


def _state(value: Any) -> Any:
    """Return what an object holds; its type's name where it does not say."""
    try:
        state = value.__getstate__()
    except TypeError:
        return type(value).__qualname__
    return {name: part for name, part in state.items() if name not in _NOT_FITTED} if isinstance(state, dict) else state


def _of_plain(one: object, other: object, path: str) -> Iterator[str]:
    if one != other:
        yield f"{path}: another {type(one).__name__}"


def _of_mappings(one: Mapping[Any, Any], other: Mapping[Any, Any], path: str, depth: int) -> Iterator[str]:
    if one.keys() != other.keys():
        yield f"{path}: {len(one.keys() ^ other.keys())} of {len(one.keys() | other.keys())} entries are in one of the two alone"
    # Of a vocabulary, whose entries are words, the number of those that differ is told, and no word.
    plain = all(isinstance(value, str | int | np.integer) for value in one.values())
    if plain and len(one) > _DEEPEST:
        different = sum(one[name] != other[name] for name in one.keys() & other.keys())
        if different:
            yield f"{path}: {different} of {len(one)} entries"
        return
    for name in (name for name in one if name in other):
        yield from _differences(one[name], other[name], f"{path}.{name}" if path else str(name), depth - 1)


def _of_sequences(one: list[Any] | tuple[Any, ...], other: list[Any] | tuple[Any, ...], path: str, depth: int) -> Iterator[str]:
    if len(one) != len(other):
        yield f"{path}: {len(one)} parts, and {len(other)} again"
        return
    for number, (ours, theirs) in enumerate(zip(one, other, strict=True)):
        # The steps of a pipeline and the parts of a union have names.
        named = isinstance(ours, tuple) and ours and isinstance(ours[0], str)
        yield from _differences(ours, theirs, f"{path}[{ours[0] if named else number}]", depth - 1)


def _of_arrays(one: NDArray[Any], other: NDArray[Any], path: str, depth: int) -> Iterator[str]:
    if one.shape != other.shape:
        yield f"{path}: the shape {one.shape}, and {other.shape} again"
    elif one.dtype.names:
        for name in one.dtype.names:
            yield from _of_arrays(one[name], other[name], f"{path}.{name}", depth - 1)
    elif np.issubdtype(one.dtype, np.inexact) and np.issubdtype(other.dtype, np.inexact):
        yield from _of_numbers(one, other, path)
    elif one.dtype == object:
        yield from _differences(one.ravel().tolist(), other.ravel().tolist(), path, depth - 1)
    elif (different := int(np.sum(one != other))) > 0:
        yield f"{path}: {different} of {one.size} values"


def _of_numbers(one: NDArray[Any], other: NDArray[Any], path: str) -> Iterator[str]:
    # The largest of an array, so that a value that should be zero may be off by the rounding of the others.
    size = float(np.max(np.abs(other), initial=0.0, where=np.isfinite(other)))
    far = ~np.isclose(one, other, rtol=ROUNDING, atol=max(_NEAR_ZERO, ROUNDING * 1e-3 * size), equal_nan=True)
    if far.any():
        gaps = np.abs(np.nan_to_num(one - other, nan=np.inf, posinf=np.inf, neginf=-np.inf))
        place = ", ".join(map(str, np.unravel_index(int(np.argmax(np.where(far, gaps, -1.0))), one.shape)))
        yield f"{path}: {int(far.sum())} of {one.size} values, at [{place}] by {float(np.max(gaps[far])):.3g}"
