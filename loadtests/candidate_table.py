"""The default candidates next to a reference recipe, on tables of labelled texts: the Markdown table of docs/01-train.md.

    python -m loadtests.candidate_table questions.csv:texte:theme projects.csv:titre:thematique

Each argument is FILE:TEXT_COLUMN:LABEL_COLUMN. For each seed the table is split as `passerelle train` splits it; the candidate with the
best cross-validated macro-F1 and the reference are fitted on the same rows and scored on the same held-out rows. Classes with fewer rows
than a training accepts are left out. The reference is TF-IDF of word(1,2) and of char_wb(2,5) with LogisticRegression(C=10).
"""

# ruff: noqa: T201 - a script that prints

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from passerelle.training.cross_validation import out_of_fold
from passerelle.training.dataset import TEXT, Dataset, read_data
from passerelle.training.evaluate import figures
from passerelle.training.features import SharedFeatures
from passerelle.training.params import Params
from passerelle.training.plan import prepare
from passerelle.training.rare_classes import RareClasses
from passerelle.training.split import split
from training.candidates import text_candidates

PARAMS = Params()


@dataclass(frozen=True)
class Comparison:
    """Held-out figures of one table, means over the seeds."""

    name: str
    rows: int
    classes: int
    best: str
    accuracy: float
    macro_f1: float
    calibration_error: float
    reference_macro_f1: float


def reference() -> Pipeline:
    """Return the recipe that the candidates are compared with."""
    words, characters = TfidfVectorizer(ngram_range=(1, 2)), TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5))
    logistic = LogisticRegression(C=10, solver="newton-cg", max_iter=1000)
    return Pipeline([("features", ColumnTransformer([("words", words, TEXT), ("characters", characters, TEXT)])), ("classifier", logistic)])


def read(argument: str) -> Dataset:
    """Return the rows whose class has enough of them."""
    name, text, label = argument.rsplit(":", 2)
    data = read_data(Path(name), text_column=text, label_column=label, drop_missing=True)
    return prepare(data, params=PARAMS, rare=RareClasses(PARAMS.fewest_per_class)).data


def compare(argument: str, seeds: int) -> Comparison:
    """Return the figures of the best candidate of each seed and of the reference."""
    data = read(argument)
    truth = data.labels.to_numpy(dtype=str)
    best, of_best, of_reference = [], [], []
    for seed in range(seeds):
        parts = split(data, params=PARAMS, seed=seed)
        candidates = text_candidates(seed=seed)
        records, labels = data.records.iloc[parts.train], truth[parts.train]
        scored = out_of_fold([each.pipeline for each in candidates], records, labels, parts.folds)
        chosen = int(np.argmax([figures(labels, each, prefix="cv", bins=10)["cv_macro_f1"] for each in scored]))
        best.append(candidates[chosen].name)
        features = SharedFeatures(records, labels, data.records.iloc[parts.held_out])
        predictions = [features.fit(pipeline).predictions for pipeline in (candidates[chosen].pipeline, reference())]
        found = [figures(truth[parts.held_out], each, prefix="test", bins=10) for each in predictions]
        of_best.append(found[0])
        of_reference.append(found[1]["test_macro_f1"])
    figure = {name: mean(each[f"test_{name}"] for each in of_best) for name in ("accuracy", "macro_f1", "calibration_error")}
    name = f"{Path(argument.rsplit(':', 2)[0]).stem}, {argument.rsplit(':', 1)[1]}"
    return Comparison(name, len(truth), len(data.classes), ", ".join(sorted(set(best))), reference_macro_f1=mean(of_reference), **figure)


def main() -> None:
    """Print a row for each table, and the mean difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", metavar="FILE:TEXT_COLUMN:LABEL_COLUMN")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    print("| table | rows | classes | best candidate | accuracy | macro-F1 | reference | difference | calibration error |")
    print("|---|---|---|---|---|---|---|---|---|")
    differences = []
    for argument in options.tables:
        found = compare(argument, options.seeds)
        differences.append(found.macro_f1 - found.reference_macro_f1)
        print(
            f"| {found.name} | {found.rows:,} | {found.classes} | {found.best} | {found.accuracy:.3f} | {found.macro_f1:.3f} "
            f"| {found.reference_macro_f1:.3f} | {differences[-1]:+.3f} | {found.calibration_error:.3f} |",
            flush=True,
        )
    print(f"mean difference {mean(differences):+.3f}, least {min(differences):+.3f}")


if __name__ == "__main__":
    main()
