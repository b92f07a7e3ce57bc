"""What the gate judges by: the rows that count, and what a model may say of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from passerelle.errors import TRAIN_AGAIN, IntegrityError, NotFoundError
from passerelle.gate import evidence as module
from passerelle.gate.evidence import Evidence, gather
from passerelle.gate.latency import Latency
from passerelle.gate.row_hashes import row_hashes
from passerelle.model.record import Column
from passerelle.names import TRAIN_HASHES
from passerelle.registry.client import Registry
from passerelle.scorer.compile.refusal import NotCompilable
from tests.unit.gate.run_folders import LABELS, ROWS, TEXTS, Folders, two_versions
from tests.unit.registry.memory import ref

#: Of a pipeline that answers by itself.
REFUSED = NotCompilable("pipeline", "it is made for tests")


class Pipeline:
    """Says the label that the place of the text tells, with a probability of 0.8."""

    classes_ = np.array(["délai", "voirie"])

    def __init__(self, wrong: int = 0) -> None:
        self._wrong = wrong

    def predict(self, table: Any) -> Any:
        places = [int(text.split()[-1]) for text in table["text"]]
        return np.array(["délai" if (place % 2 == 1) != (place < self._wrong) else "voirie" for place in places])

    def predict_proba(self, table: Any) -> Any:
        return np.where(self.predict(table)[:, None] == self.classes_, 0.8, 0.2)


@dataclass
class Models:
    """What `gather` loads: by version, and what it was asked with."""

    pipelines: dict[str, Any] = field(default_factory=lambda: {"1": Pipeline(wrong=3), "2": Pipeline()})
    columns: dict[str, tuple[Column, ...]] = field(default_factory=dict)
    timed: list[int] = field(default_factory=list)
    measured: list[tuple[str, Any, Any]] = field(default_factory=list)
    agreements: list[str] = field(default_factory=list)


def hashes(*places: int) -> list[str]:
    return row_hashes(pd.DataFrame({"text": [TEXTS[place] for place in places]})) if places else []


@pytest.fixture
def registry(tmp_path: Path) -> Folders:
    return two_versions(tmp_path / "runs")


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Models:
    found = Models()

    def version(folder: Path) -> str:
        return {"champion": "1", "challenger": "2"}[folder.parent.name]

    def described(folder: Path) -> Any:
        columns = found.columns.get(version(folder), (Column("text", "string"),))
        names = [column.name for column in columns]
        return SimpleNamespace(columns=columns, column_names=names, flavor="sklearn", libraries={"numpy": version(folder)})

    def timed(_: Any, table: pd.DataFrame, *, flavor: str, scorer: object) -> Latency:
        assert (flavor, scorer) == ("sklearn", REFUSED)
        found.timed.append(len(table))
        return Latency(1.0, 2.5)

    def memory_mib(folder: Path, scorer: object, record: Any) -> float:
        found.measured.append((version(folder), scorer, record))
        return 3.0

    monkeypatch.setattr(module, "describe", described)
    monkeypatch.setattr(module, "load_pipeline", lambda folder, _: found.pipelines[version(folder)])
    monkeypatch.setattr(module, "latency", timed)
    monkeypatch.setattr(module, "loading_memory_mib", memory_mib)
    monkeypatch.setattr(module, "what_answers", lambda *_: REFUSED)
    monkeypatch.setattr(module, "scorer_agreement", lambda files, _: found.agreements.append(version(files.folder)))
    return found


def gathered(registry: Folders, champion: int | None = 1, *, least: int = 1) -> Evidence:
    of = None if champion is None else ref(champion)
    found = gather(cast("Registry", registry), ref(2), of, serving={"numpy": "2"}, least_rows=least)
    assert isinstance(found, Evidence)
    return found


def learned(registry: Folders, version: int, rows: list[str] | None) -> None:
    """Let a version have learned from these rows, and have been registered so."""
    training = registry.root / registry.parents.get(ref(version).run_id, ref(version).run_id)
    if rows is None:
        (training / TRAIN_HASHES).unlink()
    else:
        (training / TRAIN_HASHES).write_text(json.dumps({"rows": rows}))
    registry.register(version, training)


def test_both_are_scored_on_the_challengers_held_out_rows(registry: Folders, models: Models) -> None:
    found = gathered(registry)
    assert (found.registered_model, found.serving) == (ref(2).registered_model, {"numpy": "2"})
    assert list(found.records.columns) == ["text"], "neither the label nor the group is shown to a model"
    assert found.records["text"].tolist() == TEXTS
    assert (found.held_out, found.leaked) == (ROWS, 0)
    assert (found.champion_version, found.champion_says, found.champion_columns) == (1, True, (Column("text", "string"),))
    ours, theirs = found.challenger, found.champion
    assert theirs is not None
    assert (ours.version, ours.candidate, ours.libraries, ours.columns) == (2, "candidate 2", {"numpy": "2"}, (Column("text", "string"),))
    assert (theirs.version, theirs.candidate, theirs.libraries) == (1, "candidate 1", {"numpy": "1"})
    assert (ours.train_hashes, theirs.train_hashes) == (frozenset({"sha256:another"}), frozenset({"sha256:other"}))
    assert ours.scores.truth.tolist() == theirs.scores.truth.tolist() == LABELS
    assert (ours.figures["accuracy"], theirs.figures["accuracy"]) == (1.0, 0.75)
    assert ours.scores.classes == ("délai", "voirie")
    assert (ours.figures["size_bytes"], ours.figures["latency_p95_ms"], ours.figures["memory_mib"]) == (1_000.0, 2.5, 3.0)
    assert ours.scores.probabilities is not None
    assert ours.scores.probabilities[0].tolist() == [0.2, 0.8]
    assert models.timed == [ROWS, ROWS]


def test_without_a_champion_there_is_none(registry: Folders, models: Models) -> None:
    found = gathered(registry, None)
    assert (found.champion, found.champion_columns, found.champion_version, found.champion_says) == (None, None, None, True)
    assert len(found.records) == ROWS


def test_rows_that_the_challenger_learned_from_are_counted_and_left_out(registry: Folders, models: Models) -> None:
    learned(registry, 2, hashes(0, 1, 2, 3, 4, 5, 6, 7, 8))
    found = gathered(registry)
    assert (found.leaked, found.held_out) == (9, ROWS)
    assert found.records["text"].tolist() == TEXTS[9:]
    assert found.records.index.tolist() == [0, 1, 2]
    assert found.challenger.scores.truth.tolist() == LABELS[9:]


def test_where_every_row_leaked_all_are_judged_by(registry: Folders, models: Models) -> None:
    learned(registry, 2, hashes(*range(ROWS)))
    found = gathered(registry)
    assert (found.leaked, len(found.records)) == (ROWS, ROWS)


@pytest.mark.parametrize(
    ("known", "least", "left"),
    [(5, 1, 7), (6, 1, 6), (7, 1, 12), (5, 7, 7), (5, 8, 12), (6, 6, 6)],
)
def test_rows_that_the_champion_learned_from_are_left_out_where_enough_remain(
    registry: Folders, models: Models, known: int, least: int, left: int
) -> None:
    learned(registry, 1, hashes(*range(known)))
    found = gathered(registry, least=least)
    assert (len(found.records), found.leaked) == (left, 0)


def test_a_row_that_both_learned_from_is_left_out_whatever_remains(registry: Folders, models: Models) -> None:
    learned(registry, 1, hashes(*range(2, 11)))
    learned(registry, 2, hashes(0, 1, 2))
    found = gathered(registry)
    assert found.leaked == 3
    assert found.records["text"].tolist() == TEXTS[3:]


def test_a_champion_that_no_longer_says_what_it_learned_from_is_said(registry: Folders, models: Models) -> None:
    learned(registry, 1, None)
    found = gathered(registry)
    assert not found.champion_says
    assert found.champion is not None
    assert found.champion.train_hashes is None


def test_a_challenger_that_does_not_say_it_is_not_judged(registry: Folders, models: Models) -> None:
    learned(registry, 2, None)
    with pytest.raises(NotFoundError, match="does not say what it learned from") as refused:
        gathered(registry)
    assert refused.value.hint == "passerelle train --again; passerelle register"


def test_a_champion_of_other_columns_is_not_scored(registry: Folders, models: Models) -> None:
    models.columns["1"] = (Column("text", "string"), Column("title", "string"))
    found = gathered(registry)
    assert (found.champion, found.champion_columns, found.champion_version) == (None, models.columns["1"], 1)


def test_a_column_that_the_rows_lack_is_empty_for_the_challenger(registry: Folders, models: Models) -> None:
    models.columns["2"] = (Column("text", "string"), Column("title", "string", required=False))
    seen: list[Any] = []
    pipeline = Pipeline()

    def noted(table: Any) -> Any:
        seen.append(table)
        return pipeline.predict(table)

    models.pipelines["2"] = SimpleNamespace(classes_=Pipeline.classes_, predict=noted)
    found = gathered(registry)
    assert list(seen[0].columns) == ["text", "title"]
    assert seen[0]["title"].isna().all()
    assert found.challenger.scores.probabilities is None
    assert "log_loss" not in found.challenger.figures


def test_the_memory_is_that_of_what_answers(registry: Folders, models: Models) -> None:
    gathered(registry)
    assert models.measured == [(number, None, {"text": TEXTS[0]}) for number in ("2", "1")]


def answers(**methods: Callable[[Any], Any]) -> Any:
    return SimpleNamespace(**({"classes_": Pipeline.classes_, "predict": Pipeline().predict} | methods))


def raising(error: BaseException) -> Callable[[Any], Any]:
    def fails(_: Any) -> None:
        raise error

    return fails


@pytest.mark.parametrize(
    ("pipeline", "name"),
    [
        (answers(predict=raising(ValueError("trottoir 3"))), "ValueError"),
        (answers(predict=raising(KeyError("text"))), "KeyError"),
        (answers(predict=raising(IndexError())), "IndexError"),
        (answers(predict=raising(AttributeError())), "AttributeError"),
        (answers(predict=raising(RuntimeError())), "RuntimeError"),
        (answers(predict=raising(NotFittedError("trottoir 3"))), "NotFittedError"),
        (answers(predict=raising(ZeroDivisionError())), "ZeroDivisionError"),
        (answers(predict=raising(RecursionError())), "RecursionError"),
        (answers(predict=raising(TypeError())), "TypeError"),
        (SimpleNamespace(predict=Pipeline().predict), "AttributeError"),
        (answers(predict=lambda _: np.array([["voirie"]])), "ValueError"),
        (answers(predict=lambda _: np.array(["voirie"])), "ValueError"),
        (answers(predict_proba=lambda table: np.full((len(table), 3), 0.3)), "IndexError"),
        (answers(predict_proba=lambda table: np.full((len(table), 2), np.nan)), "ValueError"),
        (answers(predict_proba=lambda table: np.full((len(table) - 1, 2), 0.5)), "ValueError"),
    ],
)
def test_a_model_that_does_not_predict_is_told_without_a_word_of_the_rows(
    registry: Folders, models: Models, pipeline: Any, name: str
) -> None:
    models.pipelines["2"] = pipeline
    with pytest.raises(IntegrityError) as refused:
        gathered(registry)
    assert refused.value.message == f"the model {ref(2)} does not predict the held-out rows: {name}"
    assert refused.value.hint == TRAIN_AGAIN
    assert refused.value.__cause__ is None
