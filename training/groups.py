"""Groups of records that are nearly the same, so that no split sets them against each other."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix, triu
from scipy.sparse.csgraph import connected_components
from sklearn.feature_extraction.text import TfidfVectorizer

from training.dataset import TEXT, Dataset

_NOT_A_WORD = re.compile(r"[\W_]+")
#: A 5-gram that more texts hold says little about two of them, and pairs of texts grow with its square.
_COMMONEST_SHINGLE = 100
_PAIRS_AT_ONCE = 200_000


def normalise(text: str) -> str:
    """Return the text's letters and digits: NFKD without accents, case folded, one space for all else."""
    letters = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return _NOT_A_WORD.sub(" ", letters.casefold()).strip() or text.strip()


def row_hashes(records: pd.DataFrame) -> list[str]:
    """Return `sha256:…` of each record's normalised text, or of its fields joined by the unit separator."""
    if list(records.columns) == [TEXT]:
        rows = [normalise(text) for text in records[TEXT]]
    else:
        rows = ["\x1f".join(map(str, row)) for row in records.to_dict(orient="split")["data"]]
    return [f"sha256:{hashlib.sha256(row.encode('utf-8', 'surrogatepass')).hexdigest()}" for row in rows]


def groups_of(data: Dataset, *, similarity: float) -> NDArray[np.int64]:
    """Return a group number for each record: the same for near-duplicates, directly or through others.

    Args:
        data: Texts are compared by the cosine of their character 5-grams; rows of a table are the same or not.
        similarity: Cosine from which two texts count as the same, from 0 to 1.
    """
    if data.kind == "tabular":
        return np.unique(np.array(row_hashes(data.records)), return_inverse=True)[1].astype(np.int64)
    distinct, position = np.unique(np.array([normalise(text) for text in data.records[TEXT]], dtype=object), return_inverse=True)
    first, second = _similar_pairs(list(distinct), similarity)
    graph = coo_matrix((np.ones(len(first)), (first, second)), shape=(len(distinct), len(distinct)))
    component: NDArray[np.int64] = connected_components(graph, directed=False)[1].astype(np.int64)
    return component[position]


def _similar_pairs(texts: list[str], similarity: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the positions of the pairs over the similarity, among the pairs that share an uncommon 5-gram."""
    try:
        shingles: csr_matrix = TfidfVectorizer(analyzer="char_wb", ngram_range=(5, 5), lowercase=False).fit_transform(texts)
    except ValueError:  # no text is five characters long
        return np.empty(0, np.int64), np.empty(0, np.int64)
    holders = np.asarray((shingles > 0).sum(axis=0)).ravel()
    telling: Any = (shingles[:, (holders > 1) & (holders <= _COMMONEST_SHINGLE)] > 0).astype(np.int32)
    candidates = triu(telling @ telling.T, k=1).tocoo()
    found: list[NDArray[np.bool_]] = [np.empty(0, bool)]
    for start in range(0, candidates.nnz, _PAIRS_AT_ONCE):
        block = slice(start, start + _PAIRS_AT_ONCE)
        products = shingles[candidates.row[block]].multiply(shingles[candidates.col[block]])
        found.append(np.asarray(products.sum(axis=1)).ravel() >= similarity)
    near = np.concatenate(found)
    return candidates.row[near].astype(np.int64), candidates.col[near].astype(np.int64)
