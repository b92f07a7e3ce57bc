"""The default candidates next to a reference recipe, on tables of labelled texts: the Markdown table of docs/01-train.md.

    python -m loadtests.candidate_table questions.csv:texte:theme projects.csv:titre:thematique

Each argument is FILE:TEXT_COLUMN:LABEL_COLUMN; several columns of texts are joined by "+". For each seed the table is divided into five
parts, near-duplicates in one of them, and each part is held out in turn: on the other four, the candidate with the best cross-validated
macro-F1 is chosen and fitted, and so is the reference. Each row is then predicted once by either, and the figures are of all rows: one
held-out part alone has one or two rows of a rare class, and its macro-F1 moves by 0.02 with one of them. Classes with fewer rows than a
training accepts are left out. The reference is TF-IDF of word(1,2) and of char_wb(2,5) with LogisticRegression(C=10).
"""

# ruff: noqa: T201 - a script that prints

from __future__ import annotations

import argparse
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median, stdev

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline

from passerelle.training.cross_validation import Fold, outcomes_out_of_fold
from passerelle.training.dataset import TEXT, Dataset, read_data
from passerelle.training.evaluate import Predictions, figures
from passerelle.training.features import SharedFeatures
from passerelle.training.params import Params
from passerelle.training.plan import prepare
from passerelle.training.rare_classes import RareClasses
from passerelle.training.split import split
from training.candidates import text_candidates

PARAMS = Params()
#: Divisions that are tried until each part to fit on has every class.
ATTEMPTS = 50


@dataclass(frozen=True)
class Comparison:
    """Figures of one table, over all rows; means over the seeds.

    Attributes:
        words: Of a text, median.
        chosen: How often each candidate was the best by cross-validation.
        differences: In macro-F1 to the reference, one a seed.
    """

    name: str
    rows: int
    classes: int
    words: int
    chosen: Counter[str]
    accuracy: float
    macro_f1: float
    calibration_error: float
    reference_macro_f1: float
    differences: list[float]

    @property
    def row(self) -> str:
        """The table's row."""
        chosen = ", ".join(f"{name} {count}" for name, count in self.chosen.most_common())
        spread = f" ± {stdev(self.differences):.3f}" if len(self.differences) > 1 else ""
        return (
            f"| {self.name} | {self.rows:,} | {self.classes} | {self.words} | {chosen} | {self.accuracy:.3f} | {self.macro_f1:.3f} "
            f"| {self.reference_macro_f1:.3f} | {mean(self.differences):+.3f}{spread} | {self.calibration_error:.3f} |"
        )


def reference(texts: Sequence[str] = (TEXT,)) -> Pipeline:
    """Return the recipe that the candidates are compared with."""
    vectorizers = {"words": TfidfVectorizer(ngram_range=(1, 2)), "characters": TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5))}
    columns = [(f"{name}_{text}", clone(vectorizer), text) for name, vectorizer in vectorizers.items() for text in texts]
    logistic = LogisticRegression(C=10, solver="newton-cg", max_iter=1000)
    return Pipeline([("features", ColumnTransformer(columns)), ("classifier", logistic)])


def read(argument: str) -> Dataset:
    """Return the rows whose class has enough of them."""
    name, text, label = argument.rsplit(":", 2)
    columns = text.split("+")
    data = read_data(Path(name), text_column=columns if len(columns) > 1 else text, label_column=label, drop_missing=True)
    return prepare(data, params=PARAMS, rare=RareClasses(PARAMS.fewest_per_class)).data


def parts_of(labels: NDArray[np.str_], groups: NDArray[np.int64], seed: int) -> list[Fold]:
    """Return five parts, each with the rows to fit on and to score; every class is among those to fit on."""
    for attempt in range(ATTEMPTS):
        folding = StratifiedGroupKFold(PARAMS.folds, shuffle=True, random_state=seed + 1_000 * attempt)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of classes with fewer rows than parts
            parts = [(fit.astype(np.int64), score.astype(np.int64)) for fit, score in folding.split(labels, labels, groups)]
        if all(set(labels[fit]) == set(labels) for fit, _ in parts):
            return parts
    raise SystemExit("near-duplicates leave no division that has every class in every part")


def held_out_predictions(
    data: Dataset, labels: NDArray[np.str_], groups: NDArray[np.int64], part: Fold, seed: int
) -> tuple[str, Predictions, Predictions]:
    """Return the name of the candidate that the rows to fit on choose, and what it and the reference predict for the others."""
    fit, score = part
    texts = list(data.records.columns)
    records, candidates = data.records.iloc[fit], text_candidates(texts, seed=seed)
    outcomes = outcomes_out_of_fold([each.pipeline for each in candidates], records, labels[fit], parts_of(labels[fit], groups[fit], seed))
    scored = [each for each in outcomes if isinstance(each, Predictions)]
    assert len(scored) == len(candidates), outcomes  # noqa: S101 - one that failed has no figures
    best = candidates[int(np.argmax([figures(labels[fit], each, prefix="cv", bins=10)["cv_macro_f1"] for each in scored]))]
    features = SharedFeatures(records, labels[fit], data.records.iloc[score])
    return best.name, features.fit(best.pipeline).predictions, features.fit(reference(texts)).predictions


def of_all_rows(labels: NDArray[np.str_], parts: list[Fold], predictions: list[Predictions]) -> dict[str, float]:
    """Return the figures of the predictions of all parts together."""
    probabilities = [each.probabilities for each in predictions if each.probabilities is not None]
    found = np.concatenate([each.labels for each in predictions])
    joined = Predictions(found, np.concatenate(probabilities), predictions[0].classes)
    return figures(labels[np.concatenate([score for _, score in parts])], joined, prefix="test", bins=10)


def compare(argument: str, seeds: int) -> Comparison:
    """Return the figures of the candidates that are chosen, and of the reference."""
    data = read(argument)
    labels = data.labels.to_numpy(dtype=str)
    groups = split(data, params=PARAMS, seed=0).groups
    chosen: Counter[str] = Counter()
    of_best, of_reference = [], []
    for seed in range(seeds):
        parts = parts_of(labels, groups, seed)
        found = [held_out_predictions(data, labels, groups, part, seed) for part in parts]
        chosen.update(name for name, _, _ in found)
        of_best.append(of_all_rows(labels, parts, [best for _, best, _ in found]))
        of_reference.append(of_all_rows(labels, parts, [plain for _, _, plain in found])["test_macro_f1"])
    figure = {name: mean(each[f"test_{name}"] for each in of_best) for name in ("accuracy", "macro_f1", "calibration_error")}
    name = f"{Path(argument.rsplit(':', 2)[0]).stem}, {argument.rsplit(':', 1)[1]}"
    words = int(median(len(" ".join(texts).split()) for texts in data.records.itertuples(index=False)))
    differences = [best["test_macro_f1"] - plain for best, plain in zip(of_best, of_reference, strict=True)]
    return Comparison(
        name, len(labels), len(data.classes), words, chosen, reference_macro_f1=mean(of_reference), differences=differences, **figure
    )


def main() -> None:
    """Print a row for each table, and the mean difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", metavar="FILE:TEXT_COLUMN:LABEL_COLUMN")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    columns = ("table", "rows", "classes", "words", "chosen, of five parts a seed", "accuracy", "macro-F1", "reference", "difference")
    print(f"| {' | '.join(columns)} | calibration error |", "|---" * (len(columns) + 1) + "|", sep="\n")
    differences = []
    for argument in options.tables:
        found = compare(argument, options.seeds)
        differences.append(mean(found.differences))
        print(found.row, flush=True)
    print(f"mean difference {mean(differences):+.3f}, least {min(differences):+.3f}")


if __name__ == "__main__":
    main()
