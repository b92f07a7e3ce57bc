"""Which records tell most of a classifier: those that it can hardly decide about, and one of each class that it gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from passerelle.model.golden import MOST_TOLERANCE

#: Smaller margins between two probabilities are left to chance: another version of a library may decide differently.
_IN_DOUBT = 10 * MOST_TOLERANCE


def telling_places(
    labels: Sequence[object], classes: Sequence[object], probabilities: NDArray[np.float64] | None, *, most: int
) -> list[int]:
    """Return the places of records near the boundaries between classes, and of one of each class that is given, in ascending order.

    For each pair of classes that some record lies between, the record with the smallest margin is taken, the smallest of all first.

    Args:
        labels: n labels that the classifier gives.
        classes: k classes, in the order of the probabilities.
        probabilities: n rows of k; None of a classifier that gives none, of which the boundaries are not known.
        most: Records near boundaries.
    """
    texts = [str(label) for label in labels]
    fit = probabilities is not None and len(classes) > 1 and probabilities.shape == (len(texts), len(classes))
    margins, pairs = _margins(probabilities) if fit and probabilities is not None else (np.zeros(len(texts)), [])
    near = list(_smallest_of_pairs(margins, pairs))[:most]
    given = {texts[place] for place in near}
    surest = np.argsort(-margins, kind="stable").tolist()
    for name in (str(name) for name in classes):
        place = next((place for place in surest if texts[place] == name), None)
        if name not in given and place is not None:
            near.append(place)
    return sorted(near)


def _margins(probabilities: NDArray[np.float64]) -> tuple[NDArray[np.float64], list[tuple[int, ...]]]:
    """Return by how much the most probable class of each record leads, and which two classes lead."""
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :2]
    first, second = np.take_along_axis(probabilities, order, axis=1).T
    return first - second, [tuple(sorted(pair)) for pair in order.tolist()]


def _smallest_of_pairs(margins: NDArray[np.float64], pairs: Sequence[tuple[int, ...]]) -> Iterator[int]:
    """Yield the place with the smallest margin of each pair of classes, the smallest of all first."""
    seen: set[tuple[int, ...]] = set()
    for place in np.argsort(margins, kind="stable").tolist() if pairs else ():
        if pairs[place] not in seen and margins[place] > _IN_DOUBT:
            seen.add(pairs[place])
            yield place
