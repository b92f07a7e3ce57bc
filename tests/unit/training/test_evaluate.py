"""The figures on data where the right answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.pipeline import Pipeline

from passerelle.gate.scores import calibration_error
from passerelle.training import evaluate, plots
from passerelle.training.evaluate import Predictions
from passerelle.training.golden_records import golden_predictions, golden_records
from training.candidates import text_candidates

CLASSES = ("Accès / Connexion", "Pb de suivi /Délai")


def test_calibration_error_by_hand() -> None:
    truth = np.array([CLASSES[0]] * 4)
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.35, 0.65], [0.35, 0.65]])
    # Two records at 0.9, both right; two at 0.65, none right.
    assert calibration_error(truth, probabilities, CLASSES) == pytest.approx((2 * 0.1 + 2 * 0.65) / 4)


def test_calibration_error_of_honest_probabilities_is_small_and_of_boasting_large() -> None:
    random = np.random.default_rng(0)
    honest = random.uniform(0.5, 1.0, 20_000)
    truth = np.where(random.uniform(size=honest.size) < honest, CLASSES[0], CLASSES[1])
    assert calibration_error(truth, np.stack([honest, 1 - honest], axis=1), CLASSES) < 0.01
    certain = np.tile([1.0, 0.0], (honest.size, 1))
    assert calibration_error(truth, certain, CLASSES) == pytest.approx(0.25, abs=0.01)


def test_figures_by_hand() -> None:
    truth = np.array([CLASSES[0], CLASSES[0], CLASSES[1], CLASSES[1]])
    said = Predictions(np.array([CLASSES[0], CLASSES[1], CLASSES[1], CLASSES[1]]), np.full((4, 2), 0.5), CLASSES)
    found = evaluate.figures(truth, said, prefix="cv", bins=10)
    assert found["cv_accuracy"] == 0.75
    assert found["cv_f1/acces_connexion"] == pytest.approx(2 / 3)
    assert found["cv_f1/pb_de_suivi_delai"] == pytest.approx(0.8)
    assert found["cv_macro_f1"] == pytest.approx((2 / 3 + 0.8) / 2)
    assert found["cv_log_loss"] == pytest.approx(np.log(2))


def test_without_probabilities_there_is_no_log_loss_and_no_reliability() -> None:
    said = Predictions(np.array(CLASSES), None, CLASSES)
    assert set(evaluate.figures(np.array(CLASSES), said, prefix="test", bins=10)) == {
        "test_accuracy",
        "test_macro_f1",
        "test_f1/acces_connexion",
        "test_f1/pb_de_suivi_delai",
    }
    assert plots.reliability(np.array(CLASSES), said, title="", bins=10) is None


def test_slugs_are_plain_and_all_different() -> None:
    assert evaluate.slugs(["Pb de suivi /Délai", "Pb de suivi / Délai", "日本", "Propreté"]) == [
        "pb_de_suivi_delai",
        "pb_de_suivi_delai_2",
        "class_3",
        "proprete",
    ]
    assert len(set(evaluate.slugs(["a", "a!", "a_2"]))) == 3
    assert evaluate.slugs(["a", "a 3", "à"]) == ["a", "a_3", "a_3_3"]


@pytest.fixture(scope="module")
def fitted() -> tuple[Pipeline, pd.DataFrame, pd.Series]:
    records = pd.DataFrame({"text": [f"{word} numéro {number}" for word in ("dossier perdu", "mot de passe") for number in range(15)]})
    labels = pd.Series([CLASSES[1]] * 15 + [CLASSES[0]] * 15)
    return text_candidates()[0].pipeline.fit(records, labels.to_numpy(dtype=str)), records, labels


def test_golden_records_hold_every_class_and_what_is_odd(fitted: tuple[Pipeline, pd.DataFrame, pd.Series]) -> None:
    pipeline, records, labels = fitted
    golden = golden_predictions(pipeline, golden_records(records, labels, kind="text", number=24, pipeline=pipeline))
    texts = [row["text"] for row in golden["inputs"]]
    assert len(texts) == 24
    by_text = dict(zip(records["text"], labels, strict=True))
    assert {by_text[text] for text in texts if text in by_text} == set(CLASSES)
    assert any(text.isupper() for text in texts)
    assert any("😡" in text for text in texts)
    assert any(len(text) < 4 for text in texts)
    assert golden["classes"] == sorted(CLASSES)
    again = pipeline.predict_proba(pd.DataFrame(golden["inputs"]))
    assert np.abs(again - np.array(golden["probabilities"])).max() == 0


def test_golden_records_lie_near_the_boundaries_and_hold_each_class_that_the_model_gives() -> None:
    random = np.random.default_rng(0)
    centres = {"a": (0.0, 0.0), "b": (3.0, 0.0), "c": (0.0, 3.0)}
    points = {label: random.normal(centre, 0.8, (60, 2)) for label, centre in centres.items()}
    records = pd.DataFrame(np.concatenate(list(points.values())), columns=["x", "y"])
    labels = pd.Series([label for label, of in points.items() for _ in of])
    pipeline = Pipeline([("classifier", LogisticRegression())]).fit(records, labels)
    golden = golden_records(records, labels, kind="tabular", number=16, pipeline=pipeline)
    pd.testing.assert_frame_equal(golden, golden_records(records, labels, kind="tabular", number=16, pipeline=pipeline))
    assert len(golden) == 16
    assert set(pipeline.predict(golden)) == set(centres)

    def margins(of: pd.DataFrame) -> dict[tuple[int, ...], float]:
        smallest: dict[tuple[int, ...], float] = {}
        for row in pipeline.predict_proba(of):
            pair = tuple(sorted(np.argsort(-row)[:2].tolist()))
            smallest[pair] = min(smallest.get(pair, 1.0), float(np.sort(row)[-1] - np.sort(row)[-2]))
        return smallest

    assert margins(golden) == margins(records)


def test_golden_records_of_several_texts_change_each_and_put_one_in_the_place_of_the_other() -> None:
    records = pd.DataFrame({"subject": [f"Objet {number}" for number in range(40)], "body": [f"Été {number}" for number in range(40)]})
    records.loc[3, "body"] = "e" + "\u0301" * 40
    golden = golden_records(records, pd.Series(["a", "b"] * 20), kind="text", number=20)
    assert (len(golden), golden.columns.tolist()) == (20, ["subject", "body"])
    assert "Objet 3" not in set(golden["subject"]), "the service refuses its other text"
    assert (golden["subject"].str.isupper() & golden["body"].str.isupper()).any()
    assert (golden["subject"].str.startswith("Été") & golden["body"].str.startswith("Objet")).any()


def test_golden_records_of_a_table_keep_their_types() -> None:
    records = pd.DataFrame({"length": np.linspace(0, 1, 40), "colour": ["red", "blue"] * 20, "old": [True, False] * 20})
    golden = golden_records(records, pd.Series(["a", "b"] * 20), kind="tabular", number=10)
    assert len(golden) == 10
    assert golden.dtypes.to_dict() == records.dtypes.to_dict()


@pytest.mark.parametrize("number", [2, 12, 40])
def test_plots_take_few_and_many_classes(number: int) -> None:
    classes = tuple(f"Une classe au nom administratif plutôt long {position:02}" for position in range(number))
    truth, probabilities = np.array(classes * 3), np.full((number * 3, number), 1 / number)
    said = Predictions(np.array(classes * 3), probabilities, classes)
    assert isinstance(plots.confusion(truth, said, title="t"), Figure)
    assert isinstance(plots.reliability(truth, said, title="t", bins=10), Figure)


class SecondClassAlways(LogisticRegression):  # type: ignore[misc]  # scikit-learn has no types
    def predict(self, features: object) -> np.ndarray:
        return np.array([CLASSES[1]] * len(np.asarray(features)))


def test_labels_come_from_the_probabilities_without_a_second_prediction(
    fitted: tuple[Pipeline, pd.DataFrame, pd.Series], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, records, _ = fitted
    expected = pipeline.predict(records).tolist()
    with monkeypatch.context() as patch:
        patch.setattr(LogisticRegression, "predict", lambda *_: pytest.fail("the records are predicted twice"), raising=False)
        assert evaluate.predict(pipeline, records).labels.tolist() == expected


def test_a_classifier_that_may_choose_otherwise_is_asked_for_its_labels() -> None:
    records = pd.DataFrame({"size": [0.0, 1.0, 2.0, 3.0]})
    pipeline = Pipeline([("classifier", SecondClassAlways())]).fit(records, np.array([CLASSES[0]] * 2 + [CLASSES[1]] * 2))
    assert evaluate.predict(pipeline, records).labels.tolist() == [CLASSES[1]] * 4


def test_equal_probabilities_do_not_decide() -> None:
    # The distances differ, and the sigmoids of both are 1: so both probabilities are a half.
    classifier = SGDClassifier(loss="log_loss").fit([[0.0], [1.0], [2.0]], ["a", "b", "c"])
    classifier.coef_, classifier.intercept_ = np.array([[0.0], [0.0], [0.0]]), np.array([-900.0, 50.0, 60.0])
    records = pd.DataFrame({"size": [1.0, 2.0]})
    found = evaluate.predict(Pipeline([("classifier", classifier)]), records)
    assert found.probabilities is not None
    assert found.probabilities.argmax(axis=1).tolist() == [1, 1]
    assert found.labels.tolist() == ["c", "c"]
