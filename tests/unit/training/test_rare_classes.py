"""Rare classes are left out or put together, with counts, and the plan refuses what a training would refuse."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from passerelle.errors import DataError, UsageError
from passerelle.stages.reproduce import train_options
from passerelle.stages.train_options import TrainingData
from passerelle.training.dataset import Dataset, digest_of, read_data
from passerelle.training.params import Params
from passerelle.training.plan import TrainingPlan, plan_of, prepare
from passerelle.training.rare_classes import RareClasses, class_shown

PUBLIC = Path(__file__).resolve().parents[2] / "data" / "service_public_questions.csv"


def data_of(**sizes: int) -> Dataset:
    """Return so many rows of each class, no two alike."""
    random = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    rows = [(" ".join("".join(random.choice(letters, 7)) for _ in range(6)), label) for label, size in sizes.items() for _ in range(size)]
    records = pd.DataFrame({"text": [text for text, _ in rows]})
    labels = pd.Series([label for _, label in rows], name="label")
    return Dataset(records, labels, digest_of(records, labels), "avis.csv", "text")


def planned(data: Dataset, rare: RareClasses) -> TrainingPlan:
    return plan_of(prepare(data, params=Params(), rare=rare), params=Params(), seed=0)


def test_rare_classes_are_left_out_or_put_together() -> None:
    data = data_of(a=20, b=12, c=5, d=3)
    out = planned(data, RareClasses(6))
    assert Counter(out.data.labels) == {"a": 20, "b": 12}
    assert out.notes == ("2 classes with fewer than 6 distinct rows are left out: 8 of 40 rows: 'c' (5), 'd' (3)",)
    assert list(out.data.records.index) == list(range(32))
    together = planned(data, RareClasses(6, "autre"))
    assert Counter(together.data.labels) == {"a": 20, "b": 12, "autre": 8}
    assert "are put together as 'autre': 8 of 40 rows" in together.notes[0]
    joined = planned(data, RareClasses(6, "b"))
    assert Counter(joined.data.labels) == {"a": 20, "b": 20}
    assert "'b', which has 12 rows of its own: 8 of 40 rows" in joined.notes[0]
    assert len({each.data.digest for each in (out, together, joined)} | {data.digest}) == 4
    assert planned(data_of(a=20, b=12), RareClasses(6)).notes == ()


def test_near_duplicates_count_once() -> None:
    data = data_of(a=20, b=12)
    copies = pd.DataFrame({"text": ["Les poubelles de ma rue débordent depuis lundi" + "!" * n for n in range(9)]})
    records = pd.concat([data.records, copies], ignore_index=True)
    labels = pd.Series([*data.labels, *["c"] * 9], name="label")
    data = Dataset(records, labels, digest_of(records, labels), "avis.csv", "text")
    with pytest.raises(DataError, match=r"'c' has 9 \(1 distinct\): 9 of 41 rows in 1 of 3 classes"):
        planned(data, RareClasses())
    assert Counter(planned(data, RareClasses(6)).data.labels) == {"a": 20, "b": 12}


def test_the_refusal_names_commands_that_help() -> None:
    data = data_of(a=20, b=12, c=5, d=3)
    with pytest.raises(DataError) as refused:
        planned(data, RareClasses())
    assert "8 of 40 rows in 2 of 4 classes" in refused.value.message
    assert refused.value.hint == "passerelle train --min-class-rows 6\npasserelle train --min-class-rows 6 --other NAME"
    with pytest.raises(DataError, match="and 1 is left"):
        planned(data, RareClasses(15))
    with pytest.raises(UsageError, match="--min-class-rows says which are rare"):
        RareClasses(0, "autre")


def test_a_class_named_like_a_text_is_not_shown() -> None:
    assert class_shown("Propreté") == "'Propreté'"
    assert class_shown("Je suis malade, et " * 6) == "a class whose name has 114 characters"


def test_many_rare_classes_of_public_questions_become_those_that_can_be_learned() -> None:
    data = read_data(PUBLIC, text_column="texte", label_column="theme")
    records = data.records.head(900)
    few = Dataset(records, records["text"].str.split().str[0].rename("label"), "", "fiches.csv", "text")
    with pytest.raises(DataError, match=r"of 900 rows in \d+ of \d+ classes"):
        planned(few, RareClasses())
    plan = planned(few, RareClasses(6, "Autre"))
    assert len(plan.data.records) == 900
    for part in (plan.parts.train, plan.parts.held_out, *(plan.parts.train[fit] for fit, _ in plan.parts.folds)):
        assert set(plan.data.labels.iloc[part]) == set(plan.data.classes)


def test_rows_that_repeat_another_one_are_counted() -> None:
    data = data_of(a=20, b=12)
    more = [data.records["text"].iloc[0]] * 2 + [data.records["text"].iloc[1] + "s"]
    records = pd.concat([data.records, pd.DataFrame({"text": more})], ignore_index=True)
    labels = pd.Series([*data.labels, "a", "a", "a"], name="label")
    plan = planned(Dataset(records, labels, "", "avis.csv", "text"), RareClasses())
    assert plan.notes == ("rows that repeat another one: 2 word for word, 1 nearly; they stay with it, held out or in one fold",)
    assert int(np.unique(plan.parts.groups).size) == 32


def test_what_was_done_is_recorded_and_given_again() -> None:
    assert RareClasses().tags == {}
    assert dict(RareClasses(6).tags) == {"passerelle.min_class_rows": "6"}
    assert dict(RareClasses(6, "Autre").tags) == {"passerelle.min_class_rows": "6", "passerelle.other_class": "Autre"}
    options = train_options(TrainingData(path="s3://data/avis.xlsx", sheet="Avis", label_column="motif"))
    assert [options[options.index(name) + 1] for name in ("--data", "--sheet")] == ["s3://data/avis.xlsx", "Avis"]
