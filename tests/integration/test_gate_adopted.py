"""The gate on versions that passerelle did not train: without rows, with rows that an operator gives, and with those of the champion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline

from passerelle.criteria import Criteria
from passerelle.errors import CriteriaError, DataError, IntegrityError
from passerelle.names import GIVEN_ROWS_RECORD, ModelVersionRef
from passerelle.registry.client import Registry
from passerelle.registry.verified import verified_ledger
from passerelle.stages.judgement import PromotionRequest
from passerelle.stages.promote import promote
from passerelle.stages.promote_rows import labelled_rows
from passerelle.stages.promotion import Promotion
from tests.adopted_versions import adopted_version, logged_version
from tests.platform_fixtures import HERE, RegisteredForTests

pytestmark = pytest.mark.integration

CRITERIA = Criteria.model_validate({"held_out": {"minimum": {"accuracy": 0.9}, "maximum": {"mae": 1.0}}, "champion": {"resamples": 100}})
WORDS = {0: ["délai", "attente", "dossier", "réponse"], 1: ["voirie", "trottoir", "chaussée", "trou"]}


def comments(count: int, seed: int) -> tuple[pd.DataFrame, list[int]]:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, count).tolist()
    texts = [" ".join([*random.choice(WORDS[label], 2), f"numéro {place} {seed}"]) for place, label in enumerate(labels)]
    return pd.DataFrame({"text": texts}), labels


def classifier(labels_of: Any = lambda labels: labels) -> tuple[Pipeline, pd.DataFrame]:
    table, labels = comments(40, 1)
    words = ColumnTransformer([("words", TfidfVectorizer(), "text")])
    return Pipeline([("words", words), ("classifier", LogisticRegression(C=50))]).fit(table, labels_of(labels)), table


def promoted(registry: Registry, ref: ModelVersionRef, *, rows: Path | None = None, label: str = "label", **options: Any) -> Promotion:
    given = labelled_rows(registry, ref, str(rows), (label,)) if rows else None
    request = PromotionRequest(who="marie@here", serving=HERE, given=given, **options)
    return promote(registry, ref=ref, criteria=CRITERIA, request=request)


def test_an_adopted_classifier_is_judged_by_given_rows_and_its_successor_by_the_same(
    registered: RegisteredForTests, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    registry = registered.fresh()
    swapped, table = classifier(lambda labels: [1 - label for label in labels])
    first = logged_version(registry, swapped, table, serialization_format="cloudpickle")
    with pytest.raises(IntegrityError, match="not registered by passerelle, nor adopted") as refused:
        promoted(registry, first)
    assert refused.value.hint == f"passerelle adopt models:/{first.registered_model}/1"
    first = adopted_version(registry, first, swapped, monkeypatch)
    done = promoted(registry, first, reason="the team knows it")
    assert done.entry is not None
    assert not done.entry.judged
    assert done.entry.golden_origin == "input_example"
    assert done.entry.metrics.keys() == {"latency_p95_ms", "size_bytes", "memory_mib"}
    assert all(value > 0 for value in done.entry.metrics.values())
    verdict = registry.read_json(first.run_id, "gate/verdict.json")
    assert (verdict["result"], verdict["judged"], verdict["passed"]) == ("not judged", False, False)
    assert next(each for each in verdict["findings"] if each["check"] == "leakage")["result"] == "unknown"

    right, table = classifier()
    second = adopted_version(registry, logged_version(registry, right, table, serialization_format="skops"), right, monkeypatch)
    texts, labels = comments(60, 2)
    rows = tmp_path / "rows.csv"
    texts.assign(label=labels, district="13e").to_csv(rows, sep=";", index=False, encoding="cp1252")
    done = promoted(registry, second, rows=rows, reason="labelled by hand in November")
    assert done.entry is not None
    assert done.entry.judged
    assert (done.entry.metrics["accuracy"], done.entry.waived) == (1.0, {"leakage": "marie@here: labelled by hand in November"})
    assert any("district" in note for note in done.notes)
    assert registry.read_json(second.run_id, GIVEN_ROWS_RECORD)["digest"] == done.entry.held_out_digest
    assert {finding.check: finding.result for finding in done.findings}["champion"] == "passed"

    third = adopted_version(registry, logged_version(registry, swapped, table, serialization_format="skops"), swapped, monkeypatch)
    with pytest.raises(CriteriaError, match="worse than version 2") as worse:
        promoted(registry, third, reason="by the champion's rows")
    assert "accuracy is 0.000" in worse.value.message
    assert registry.read_json(third.run_id, GIVEN_ROWS_RECORD)["rows"] == 60
    ledger = verified_ledger(registry, registry.settings.registered_model)
    assert [(entry.to_version, entry.judged) for entry in ledger.entries] == [(1, False), (2, True)]


def test_a_regression_is_measured_and_a_clustering_is_not(
    registered: RegisteredForTests, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    registry = registered.fresh()
    random = np.random.default_rng(0)
    table = pd.DataFrame({"size": random.normal(size=60), "age": random.normal(size=60)})
    price = 3 * table["size"] - table["age"]
    rows = tmp_path / "rows.csv"
    table.assign(price=price + 0.5).to_csv(rows, index=False)
    linear, groups = LinearRegression().fit(table, price + 1.0), KMeans(n_clusters=2, n_init=1, random_state=0).fit(table)
    first = adopted_version(registry, logged_version(registry, linear, table), linear, monkeypatch, "regression")
    done = promoted(registry, first, rows=rows, label="price", reason="measured in May")
    assert done.entry is not None
    assert done.entry.metrics["mae"] == pytest.approx(0.5)
    assert done.entry.metrics["r2"] > 0.9

    clustering = adopted_version(registry, logged_version(registry, groups, table), groups, monkeypatch, "clustering")
    with pytest.raises(DataError, match="labelled rows do not judge"):
        promoted(registry, clustering, rows=rows, label="price")
    with pytest.raises(CriteriaError, match="its task is clustering, that of the version in production is regression"):
        promoted(registry, clustering, reason="it sorts well")
    verdict = registry.read_json(clustering.run_id, "gate/verdict.json")
    assert {each["check"] for each in verdict["findings"] if each["result"] == "unknown"} == {"leakage", "champion"}
