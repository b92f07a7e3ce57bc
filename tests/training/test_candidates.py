"""Every candidate learns, gives probabilities, and loads with the types that it declares and no other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.base import clone

from passerelle.training.candidate import Candidate
from passerelle.training.cross_validation import outcomes_out_of_fold
from passerelle.training.dataset import read_data
from passerelle.training.evaluate import Predictions
from passerelle.training.params import Params
from passerelle.training.split import split
from training.candidates import tabular_candidates, text_candidates

COMMENTS = Path(__file__).resolve().parents[2] / "training" / "data" / "comments.csv"
TEXTS = {
    "Pb de suivi /Délai": ["Toujours aucune réponse à ma demande", "Où en est mon dossier ?", "Rien reçu depuis trois mois"],
    "Propreté / Voirie": ["La poubelle de la rue déborde", "Trottoir défoncé devant l'école", "Encombrants jamais ramassés"],
    "Remerciements": ["Merci pour votre accueil", "Bravo aux équipes du guichet", "Service rapide, merci"],
}
OPENINGS = ("Bonjour,", "URGENT :", "Madame, Monsieur,", "svp")


def comments() -> tuple[pd.DataFrame, np.ndarray]:
    rows = [(f"{opening} {text}", label) for label, texts in TEXTS.items() for text in texts for opening in OPENINGS]
    return pd.DataFrame({"text": [text for text, _ in rows]}), np.array([label for _, label in rows])


def measurements() -> tuple[pd.DataFrame, np.ndarray]:
    random = np.random.default_rng(0)
    labels = np.repeat(["a", "b", "c"], 20)
    sizes = np.repeat([0.0, 5.0, 10.0], 20)
    records = pd.DataFrame({"size": sizes + random.normal(size=60), "old": labels == "b", "colour": np.where(labels == "a", "red", "blue")})
    return records, labels


TEXT = [pytest.param(candidate, comments(), id=candidate.name) for candidate in text_candidates()]
TABULAR = [pytest.param(candidate, measurements(), id=candidate.name) for candidate in tabular_candidates(["size", "old"], ["colour"])]


@pytest.mark.parametrize(("candidate", "data"), [*TEXT, *TABULAR])
def test_a_candidate_learns_and_loads_with_the_types_it_declares(candidate: Candidate, data: tuple[pd.DataFrame, np.ndarray]) -> None:
    records, labels = data
    fitted = clone(candidate.pipeline).fit(records, labels)
    assert np.mean(fitted.predict(records) == labels) > 0.9
    assert fitted.predict_proba(records.head(1)).sum() == pytest.approx(1)
    content = skops.io.dumps(fitted)
    assert set(skops.io.get_untrusted_types(data=content)) == set(candidate.trusted_types)
    assert all(name.startswith("sklearn.") for name in candidate.trusted_types)
    loaded = skops.io.loads(content, trusted=list(candidate.trusted_types))
    assert np.array_equal(loaded.predict_proba(records), fitted.predict_proba(records))


def test_there_are_at_least_five_for_text_and_their_names_differ() -> None:
    names = [candidate.name for candidate in text_candidates()]
    assert len(names) == len(set(names)) >= 5


def test_a_table_of_numbers_only_has_no_one_hot_columns() -> None:
    features = tabular_candidates(["size"], [])[0].pipeline.named_steps["features"]
    assert [name for name, _, _ in features.transformers] == ["numbers"]


def test_on_the_demo_each_candidate_has_the_figures_that_it_has_alone() -> None:
    data = read_data(COMMENTS, text_column="text", label_column="label")
    parts = split(data, params=Params(folds=2), seed=0)
    records, truth = data.records.iloc[parts.train], data.labels.iloc[parts.train].to_numpy(dtype=str)
    candidates = text_candidates()
    together = outcomes_out_of_fold([candidate.pipeline for candidate in candidates], records, truth, parts.folds)
    for candidate, found in zip(candidates, together, strict=True):
        assert isinstance(found, Predictions)
        assert found.probabilities is not None
        for fit, score in parts.folds:
            alone = clone(candidate.pipeline).fit(records.iloc[fit], truth[fit])
            assert np.array_equal(found.labels[score], alone.predict(records.iloc[score]).astype(str))
            # The search for a temperature ends at the square root of the precision, 1.5e-8, wherever the features' last digits led it.
            assert np.allclose(found.probabilities[score], alone.predict_proba(records.iloc[score]), rtol=0, atol=1e-7)


def test_in_many_records_an_n_gram_counts_only_where_several_have_it() -> None:
    for rows, fewest in ((0, 1), (19_999, 1), (20_000, 2), (200_000, 20)):
        for candidate in text_candidates(rows=rows):
            parts = candidate.pipeline.named_steps["features"].transformers
            assert {vectorizer.min_df for _, vectorizer, _ in parts} == {fewest}
