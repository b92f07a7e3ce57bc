"""What a training costs as the data grow: processor seconds, wall time and peak memory of the text candidates.

    python -m loadtests.training_scale                        2,000 rows
    python -m loadtests.training_scale 2000 20000 200000      one process each, so that the peaks are their own
    python -m loadtests.training_scale 200000 --split-only    near-duplicates, held-out rows and folds, without candidates

Prints a line of JSON for each size. The texts are words of the demo's comments, drawn class by class, with a tenth of near-duplicates; the
runs go to a SQLite file and a folder that are removed afterwards, so the processor time of MLflow's server is in the figures.
"""

# ruff: noqa: T201 - a script that prints

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from loadtests.machine import describe_machine
from passerelle.training.dataset import Dataset, digest_of
from passerelle.training.params import Params
from passerelle.training.split import split
from passerelle.training.train import train
from training.candidates import candidates_for

COMMENTS = Path(__file__).resolve().parents[1] / "training" / "data" / "comments.csv"
WORDS = 25
#: Of the words of a text, those that any class may use.
COMMON = 15
SYLLABLES = "ra mi ter con sé dé pro lo gement trans port é cole ti on ment le la re pa ris mai rie de man dos sier im pôt"


def made_up(rows: int) -> Dataset:
    """Return records that a classifier can tell apart in part; one word of each is new, as in real text."""
    table = pd.read_csv(COMMENTS)
    random = np.random.default_rng(0)
    classes = sorted(set(table["label"]))
    every = np.array(" ".join(table["text"]).split())
    own = {name: np.array(" ".join(table["text"][table["label"] == name]).split()) for name in classes}
    texts, labels = [], []
    for row in range(rows):
        label = classes[row % len(classes)]
        new = "".join(random.choice(SYLLABLES.split(), 4))
        texts.append(" ".join([*random.choice(every, COMMON), *random.choice(own[label], WORDS - COMMON), new]))
        labels.append(label)
    for row in range(len(classes), rows, 10):
        texts[row] = f"{texts[row - len(classes)]} merci"
    records, column = pd.DataFrame({"text": texts}), pd.Series(labels, name="label")
    return Dataset(records, column, digest_of(records, column), "made_up.csv", "text")


@contextlib.contextmanager
def counted(found: dict[str, float], name: str) -> Iterator[None]:
    """Add the processor and the wall time of the body to what was found."""
    cpu, wall = time.process_time(), time.perf_counter()
    yield
    found[f"{name}_cpu_seconds"] = round(time.process_time() - cpu, 1)
    found[f"{name}_wall_seconds"] = round(time.perf_counter() - wall, 1)


def measure(rows: int, *, split_only: bool) -> dict[str, object]:
    """Return the figures of one size, in this process."""
    data = made_up(rows)
    found: dict[str, float] = {}
    with counted(found, "split"):
        split(data, params=Params(), seed=0)
    scores = {}
    if not split_only:
        with tempfile.TemporaryDirectory(prefix="training-scale-") as folder, contextlib.chdir(folder), counted(found, "train"):
            result = train(data, tracking_uri=f"sqlite:///{folder}/mlflow.db", experiment="scale", candidates=candidates_for(data))
            scores = {each.name: round(each.metrics["cv_macro_f1"], 4) for each in result.candidates}
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    characters = float(data.records["text"].str.len().mean())
    return {"rows": rows, "characters": round(characters), **found, "peak_mib": peak_mib, "cv_macro_f1": scores}


def main() -> None:
    """Measure one size here, or each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", type=int, default=[2_000])
    parser.add_argument("--split-only", action="store_true", help="leave the candidates out")
    options = parser.parse_args()
    if len(options.rows) == 1:
        print(json.dumps(measure(options.rows[0], split_only=options.split_only), ensure_ascii=False))
        return
    print(json.dumps(describe_machine("scikit-learn", "mlflow"), ensure_ascii=False), flush=True)
    for rows in options.rows:
        subprocess.run([sys.executable, "-m", "loadtests.training_scale", str(rows), *(["--split-only"] * options.split_only)], check=True)


if __name__ == "__main__":
    main()
