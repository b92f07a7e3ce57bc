"""Groups of records that are nearly the same, so that nothing separates them: no split, and no draw of rows with replacement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.feature_extraction.text import TfidfVectorizer

from passerelle.gate.row_hashes import normalise, row_hashes

Positions = NDArray[np.int64]

_BANDS, _HASHES_PER_BAND, _NEIGHBOURS = 32, 3, 8
#: Cosine of character 5-grams from which two texts count as the same, unless a setting says otherwise.
SIMILARITY = 0.8
#: Bound the memory of a comparison; the groups do not depend on them.
_PAIRS_AT_ONCE, _ROWS_AT_ONCE = 20_000, 20_000


def groups_of_texts(texts: Sequence[str], *, similarity: float) -> Positions:
    """Return a group number for each text: the same for near-duplicates, directly or through others.

    Args:
        texts: Compared by the cosine of their character 5-grams, once they are normalised.
        similarity: Cosine from which two texts count as the same, from 0 to 1.
    """
    normalised = [normalise(text) for text in texts]
    distinct, position = np.unique(np.array(normalised, dtype=object), return_inverse=True)
    return _components(list(distinct), similarity)[position]


def groups_of_records(records: pd.DataFrame) -> Positions:
    """Return a group number for each record: texts alone are compared as training compares them by default, other rows must be equal."""
    if records.columns.empty or not all(isinstance(value, str) for column in records.columns for value in records[column]):
        return groups_of_rows(records)
    return groups_of_texts([" ".join(record) for record in records.itertuples(index=False, name=None)], similarity=SIMILARITY)


def groups_of_rows(records: pd.DataFrame) -> Positions:
    """Return a group number for each row of a table: the same for equal rows."""
    return np.unique(np.array(row_hashes(records)), return_inverse=True)[1].astype(np.int64)


def _components(texts: list[str], similarity: float) -> Positions:
    """Return a number for each text, counted by first occurrence: the same where a chain of similar pairs leads from one to the other.

    The pairs of a band are compared and then forgotten: all that is kept from one band to the next is which texts are connected, and
    a pair that is connected already is not compared. So the memory is that of the n-grams, however many pairs are likely.
    """
    component: Positions = np.arange(len(texts), dtype=np.int64)
    try:
        shingles: csr_matrix = TfidfVectorizer(analyzer="char_wb", ngram_range=(5, 5), lowercase=False, use_idf=False).fit_transform(texts)
    except ValueError:  # every text is blank
        return component
    for first, second in _likely_pairs(shingles):
        for start in range(0, len(first), _PAIRS_AT_ONCE):
            block = slice(start, start + _PAIRS_AT_ONCE)
            apart = component[first[block]] != component[second[block]]
            one, other = first[block][apart], second[block][apart]
            near = np.asarray(shingles[one].multiply(shingles[other]).sum(axis=1)).ravel() >= similarity
            if near.any():
                component = _connected(component, one[near], other[near])
    return component


def _connected(component: Positions, first: Positions, second: Positions) -> Positions:
    """Return the components once these pairs are connected too."""
    number = int(component.max()) + 1
    graph = coo_matrix((np.ones(len(first)), (component[first], component[second])), shape=(number, number))
    merged: Positions = connected_components(graph, directed=False)[1].astype(np.int64)
    return merged[component]


def _likely_pairs(shingles: csr_matrix) -> Iterator[tuple[Positions, Positions]]:
    """Yield, band by band, pairs of rows that may share many shingles, without comparing all with all.

    MinHash with banding (Broder, "On the resemblance and containment of documents", 1997): rows whose smallest
    hashes agree throughout a band are likely alike. In a bucket each row is paired with the next few only,
    which is enough to connect copies of one text however many they are.
    """
    rows = np.flatnonzero(np.diff(shingles.indptr))
    random = np.random.default_rng(0)  # fixed: the groups depend on the texts alone
    for _ in range(_BANDS):
        keys = [_smallest(random.permutation(shingles.shape[1]), shingles, rows) for _ in range(_HASHES_PER_BAND)]
        order = np.lexsort(keys)  # stable, as the choice of the next few requires
        for ahead in range(1, _NEIGHBOURS + 1):
            before, behind = order[:-ahead], order[ahead:]
            same = np.logical_and.reduce([key[before] == key[behind] for key in keys])
            yield rows[before[same]], rows[behind[same]]


def _smallest(hashes: Positions, shingles: csr_matrix, rows: Positions) -> Positions:
    """Return the smallest hash among the shingles of each of these rows, of which none is empty."""
    smallest = np.empty(len(rows), np.int64)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        block = rows[start : start + _ROWS_AT_ONCE]
        first, end = shingles.indptr[block[0]], shingles.indptr[block[-1] + 1]
        smallest[start : start + _ROWS_AT_ONCE] = np.minimum.reduceat(hashes[shingles.indices[first:end]], shingles.indptr[block] - first)
    return smallest
