"""Near-duplicates stay together, every part has every class, and a class that is too small is named."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from scipy.sparse.csgraph import connected_components
from sklearn.feature_extraction.text import TfidfVectorizer

from passerelle.errors import DataError
from passerelle.training.dataset import Dataset, digest_of
from passerelle.training.groups import groups_of, normalise, row_hashes
from passerelle.training.split import split
from training.params import PARAMS

LABELS = ("voirie", "compte", "merci")


def dataset(texts: list[str], labels: list[str]) -> Dataset:
    records, column = pd.DataFrame({"text": texts}), pd.Series(labels, name="label")
    return Dataset(records, column, digest_of(records, column), "comments.csv", "text")


def distinct_texts(number: int) -> list[str]:
    letters = np.random.default_rng(7).choice(list("abcdefghijklmnopqrstuvwxyz"), (number, 60))
    return [" ".join("".join(word) for word in row.reshape(10, 6)) for row in letters]


def test_copies_with_other_capitals_accents_and_marks_share_a_group() -> None:
    texts = [
        "Où en est ma demande de carte ?",
        "OU EN EST MA DEMANDE DE CARTE !!!",
        "où en est ma demande de la carte ?",
        "Le jardin public est fermé depuis lundi",
        "Rien",
    ]
    groups = groups_of(dataset(texts, ["a"] * 5), similarity=PARAMS.near_duplicate_similarity)
    assert groups[0] == groups[1] == groups[2]
    assert len(set(groups)) == 3


def test_records_of_several_texts_share_a_group_where_all_of_them_are_nearly_the_same() -> None:
    bodies = ["Où en est ma demande de carte ?", "OU EN EST MA DEMANDE DE CARTE !!!", "Le jardin public est fermé depuis lundi"]
    records = pd.DataFrame({"subject": ["Relance", "relance", "Relance"], "body": bodies})
    labels = pd.Series(["a"] * 3, name="label")
    data = Dataset(records, labels, digest_of(records, labels), "comments.csv", "text")
    first, second, third = groups_of(data, similarity=PARAMS.near_duplicate_similarity)
    assert first == second != third


def test_many_slightly_different_copies_of_one_text_are_one_group() -> None:
    petition = "Nous demandons la réouverture de la piscine du quartier, fermée depuis deux ans sans aucune explication"
    texts = [f"{petition} {signature}" for signature in distinct_texts(300)]
    short = [text[: len(petition) + 8] for text in texts]
    groups = groups_of(dataset(short + distinct_texts(300), ["a"] * 600), similarity=0.75)
    assert len(set(groups[:300])) == 1
    assert len(set(groups[300:])) == 300


def components_of_all_pairs(texts: list[str], similarity: float) -> np.ndarray:
    """Return the groups by comparing all texts with all."""
    normalised = [normalise(text) for text in texts]
    shingles = TfidfVectorizer(analyzer="char_wb", ngram_range=(5, 5), lowercase=False, use_idf=False).fit_transform(normalised)
    near = (shingles @ shingles.T).toarray() >= similarity
    same = np.equal.outer(np.array(normalised), np.array(normalised))
    numbers: np.ndarray = connected_components(near | same, directed=False)[1]
    return numbers


def partition(groups: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(groups == group).tolist()) for group in set(groups.tolist())}


def chains(number: int) -> list[str]:
    """Return texts of ten words, each with one word of the text before it exchanged, thirty to a chain."""
    random, fresh = np.random.default_rng(3), iter(" ".join(distinct_texts(number)).split())
    texts: list[list[str]] = []
    for position in range(number):
        words = [next(fresh) for _ in range(10)] if position % 30 == 0 else [*texts[-1]]
        words[random.integers(10)] = words[0][::-1]
        texts.append(words)
    return [" ".join(text) for text in texts]


@pytest.mark.parametrize("similarity", [0.75, 0.85])
def test_groups_are_those_of_a_comparison_of_all_with_all(similarity: float) -> None:
    texts = [*chains(300), *distinct_texts(60), "Merci", "MERCI !", ""]
    groups = groups_of(dataset(texts, ["a"] * len(texts)), similarity=similarity)
    assert partition(groups) == partition(components_of_all_pairs(texts, similarity))


def test_memory_does_not_grow_with_the_pairs_that_are_compared() -> None:
    petition = "Nous demandons la réouverture de la piscine du quartier, fermée depuis deux ans sans aucune explication"
    data = dataset([f"{petition} {text[:40]}" for text in distinct_texts(600)], ["a"] * 600)
    tracemalloc.start()
    groups_of(data, similarity=0.99)
    peak_mib = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    assert peak_mib < 60


def test_rows_of_a_table_are_grouped_when_equal() -> None:
    records = pd.DataFrame({"a": [1.0, 1.0, 2.0], "b": ["x", "x", "x"]})
    data = Dataset(records, pd.Series(["p", "q", "p"]), "sha256:0", "table.csv", "tabular")
    first, second, third = groups_of(data, similarity=0.75)
    assert first == second != third


def test_normalised_texts_without_letters_differ() -> None:
    assert normalise("!!!") != normalise("👍")
    assert len(set(row_hashes(pd.DataFrame({"text": ["Été", "ete ", "hiver"]})))) == 2


def planted() -> Dataset:
    """Return 90 records of three classes, each followed by a near-duplicate."""
    texts, labels = [], []
    for position, words in enumerate(distinct_texts(90)):
        label = LABELS[position % 3]
        texts += [words, words.upper() + " !"]
        labels += [label, label]
    return dataset(texts, labels)


def test_no_group_is_on_both_sides_and_every_part_has_every_class() -> None:
    data = planted()
    parts = split(data, params=PARAMS, seed=0)
    labels = data.labels.to_numpy()
    assert sorted([*parts.train, *parts.held_out]) == list(range(len(labels)))
    assert not set(parts.groups[parts.train]) & set(parts.groups[parts.held_out])
    assert set(labels[parts.held_out]) == set(labels)
    scored: list[int] = []
    for fit, score in parts.folds:
        assert not set(parts.groups[parts.train[fit]]) & set(parts.groups[parts.train[score]])
        assert set(labels[parts.train[fit]]) == set(labels)
        scored.extend(score)
    assert sorted(scored) == list(range(len(parts.train)))


def test_the_seed_decides_the_folds_and_not_what_is_held_out() -> None:
    data = planted()
    first, again, other = (split(data, params=PARAMS, seed=seed) for seed in (0, 0, 1))
    assert first.held_out.tolist() == other.held_out.tolist()
    folds = [[score.tolist() for _, score in each.folds] for each in (first, again, other)]
    assert folds[0] == folds[1] != folds[2]
    assert first.held_out.tolist() != split(data, params=PARAMS, seed=0, held_out_set=2).held_out.tolist()


def test_a_class_with_two_rows_is_named() -> None:
    texts = distinct_texts(22)
    with pytest.raises(DataError, match=r"comments\.csv: a class needs at least 6 .* 'rare' has 2 \(2 distinct\)") as refused:
        split(dataset(texts, ["courant"] * 20 + ["rare"] * 2), params=PARAMS, seed=0)
    assert refused.value.hint


def test_a_class_of_copies_counts_as_one_record() -> None:
    texts = [*distinct_texts(20), *["Toujours la même phrase"] * 10]
    with pytest.raises(DataError, match=r"'copie' has 10 \(1 distinct\)"):
        split(dataset(texts, ["courant"] * 20 + ["copie"] * 10), params=PARAMS, seed=0)


def test_an_identifier_as_class_is_refused_in_one_line() -> None:
    with pytest.raises(DataError, match="and 25 more classes"):
        split(dataset(distinct_texts(30), [f"id-{number:02}" for number in range(30)]), params=PARAMS, seed=0)
