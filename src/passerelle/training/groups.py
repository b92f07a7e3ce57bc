"""Groups of records that are nearly the same, so that no split separates them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.feature_extraction.text import TfidfVectorizer

from passerelle.gate.row_hashes import normalise, row_hashes
from passerelle.training.dataset import TEXT, Dataset

__all__ = ["groups_of", "normalise", "row_hashes"]

Positions = NDArray[np.int64]

_BANDS, _HASHES_PER_BAND, _NEIGHBOURS = 32, 3, 8
_PAIRS_AT_ONCE = 200_000


def groups_of(data: Dataset, *, similarity: float) -> Positions:
    """Return a group number for each record: the same for near-duplicates, directly or through others.

    Args:
        data: Texts are compared by the cosine of their character 5-grams; rows of a table must be equal.
        similarity: Cosine from which two texts count as the same, from 0 to 1.
    """
    if data.kind == "tabular":
        return np.unique(np.array(row_hashes(data.records)), return_inverse=True)[1].astype(np.int64)
    distinct, position = np.unique(np.array([normalise(text) for text in data.records[TEXT]], dtype=object), return_inverse=True)
    first, second = _similar_pairs(list(distinct), similarity)
    graph = coo_matrix((np.ones(len(first)), (first, second)), shape=(len(distinct), len(distinct)))
    component: Positions = connected_components(graph, directed=False)[1].astype(np.int64)
    return component[position]


def _similar_pairs(texts: list[str], similarity: float) -> tuple[Positions, Positions]:
    """Return the positions of the pairs over the similarity."""
    try:
        shingles: csr_matrix = TfidfVectorizer(analyzer="char_wb", ngram_range=(5, 5), lowercase=False, use_idf=False).fit_transform(texts)
    except ValueError:  # every text is blank
        return np.empty(0, np.int64), np.empty(0, np.int64)
    first, second = _likely_pairs(shingles)
    near = [np.empty(0, bool)]
    for start in range(0, len(first), _PAIRS_AT_ONCE):
        block = slice(start, start + _PAIRS_AT_ONCE)
        cosines = shingles[first[block]].multiply(shingles[second[block]]).sum(axis=1)
        near.append(np.asarray(cosines).ravel() >= similarity)
    return first[np.concatenate(near)], second[np.concatenate(near)]


def _likely_pairs(shingles: csr_matrix) -> tuple[Positions, Positions]:
    """Return pairs of rows that may share many shingles, without comparing all with all.

    MinHash with banding (Broder, "On the resemblance and containment of documents", 1997): rows whose smallest
    hashes agree throughout a band are likely alike. In a bucket each row is paired with the next few only,
    which is enough to connect copies of one text however many they are.
    """
    rows = np.flatnonzero(np.diff(shingles.indptr))
    random = np.random.default_rng(0)  # fixed: the groups depend on the texts alone
    pairs = [np.empty((0, 2), np.int64)]
    for _ in range(_BANDS):
        hashes = [random.permutation(shingles.shape[1])[shingles.indices] for _ in range(_HASHES_PER_BAND)]
        keys = np.stack([np.minimum.reduceat(each, shingles.indptr[rows]) for each in hashes], axis=1)
        bucket = np.unique(keys, axis=0, return_inverse=True)[1].ravel()
        order = np.argsort(bucket, kind="stable")
        for ahead in range(1, _NEIGHBOURS + 1):
            same = bucket[order[:-ahead]] == bucket[order[ahead:]]
            pairs.append(np.stack([rows[order[:-ahead][same]], rows[order[ahead:][same]]], axis=1))
    found = np.unique(np.concatenate(pairs), axis=0)
    return found[:, 0], found[:, 1]
