"""Which rows are held out: about one in `folds`, the same ones when rows are added, and never a row that was learned from before."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from passerelle.gate.near_duplicates import groups_of_texts
from passerelle.training.sides import MOST_COPIES, held_out_rows

FOLDS = 5


def texts(number: int, seed: int = 7) -> list[str]:
    letters = np.random.default_rng(seed).choice(list("abcdefghijklmnopqrstuvwxyz"), (number, 60))
    return [" ".join("".join(word) for word in row.reshape(10, 6)) for row in letters]


def held_out(rows: list[str], labels: list[str], number: int = 1) -> set[str]:
    groups = groups_of_texts(rows, similarity=0.8)
    found = held_out_rows(pd.DataFrame({"text": rows}), np.array(labels), groups, folds=FOLDS, number=number)
    assert not set(groups[found]) & set(groups[~found])
    return {row for row, out in zip(rows, found, strict=True) if out}


def labels_of(number: int, classes: int = 4) -> list[str]:
    return [f"class {place % classes}" for place in range(number)]


def test_about_one_in_five_is_held_out_and_another_set_holds_others_out() -> None:
    rows = texts(1_000)
    first, second = (held_out(rows, labels_of(1_000), number) for number in (1, 2))
    assert 150 < len(first) < 250
    assert 150 < len(second) < 250
    assert len(first & second) < 80


def test_added_and_shuffled_rows_leave_every_old_row_on_its_side() -> None:
    rows, labels = texts(600), labels_of(600)
    before = held_out(rows[:400], labels[:400])
    order = np.random.default_rng(1).permutation(600)
    after = held_out([rows[place] for place in order], [labels[place] for place in order])
    assert after & set(rows[:400]) == before


@pytest.mark.parametrize("added", ["a near-duplicate", "one that joins two groups"])
def test_an_added_row_takes_no_row_that_was_learned_from_out_of_the_training_side(added: str) -> None:
    rows, labels = texts(300), labels_of(300)
    before = held_out(rows, labels)
    if added == "a near-duplicate":
        more = [f"{row} zz" for row in rows]
    else:
        more = [f"{row} {other}" for row, other in zip(rows[:30:2], rows[1:30:2], strict=True)]  # a cosine of 0.7 with both
    groups = groups_of_texts([*rows, *more], similarity=0.65)
    joined = pd.DataFrame({"text": [*rows, *more]})
    found = held_out_rows(joined, np.array([*labels, *labels[: len(more)]]), groups, folds=FOLDS, number=1)
    assert len(set(groups.tolist())) <= 300
    after = {row for row, out in zip(rows, found[:300], strict=True) if out}
    assert after <= before
    assert after


def test_each_class_is_in_each_part_however_small_it_is() -> None:
    for seed in range(60):
        rows = texts(46, seed)
        labels = [*labels_of(40), *["small"] * 6]
        out = held_out(rows, labels)
        small = [row in out for row in rows[40:]]
        assert sum(small) == 1
        assert {label for row, label in zip(rows, labels, strict=True) if row in out} == set(labels)


def test_a_growing_class_of_a_dozen_rows_keeps_its_rows_to_learn_from() -> None:
    for seed in range(40):
        rows, labels = texts(60, seed), labels_of(60, classes=2)
        before, after = held_out(rows[:40], labels[:40]), held_out(rows, labels)
        assert not {row for row in after - before if row in rows[:40]}


def test_a_petition_is_learned_from_in_whole() -> None:
    for seed in range(10):
        first, *rows = texts(200, seed)
        copies = [first] * (MOST_COPIES + 1)
        assert first not in held_out([*copies, *rows], labels_of(len(copies) + len(rows)))


def test_rows_of_a_table_have_their_sides_too() -> None:
    table = pd.DataFrame({"a": np.arange(500.0), "b": ["x", "y"] * 250})
    groups, labels = np.arange(500), np.array(labels_of(500))
    found = held_out_rows(table, labels, groups, folds=FOLDS, number=1)
    more = pd.concat([table, table.assign(a=table["a"] + 1_000)], ignore_index=True)
    again = held_out_rows(more, np.array([*labels, *labels]), np.arange(1_000), folds=FOLDS, number=1)
    assert 70 < found.sum() < 130
    assert (found == again[:500]).all()
