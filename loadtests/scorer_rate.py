"""The compiled scorer's rate next to scikit-learn's own, in one process, on the same model and texts.

    python -m loadtests.scorer_rate [texts.csv --text COLUMN … --label COLUMN]

Prints milliseconds a text and the ratio ours to scikit-learn's, alone and for 1,000 texts in one call. Without a file it makes texts of
its own out of French words. Rounds of both are taken in turn, and the median counts: figures of a busy machine go up and down,
ratios less. One BLAS thread, as in the service.
"""

# ruff: noqa: T201 - a script that prints

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import gc
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from passerelle.scorer.compile.pipeline import compile_pipeline
from passerelle.scorer.scorer import CompiledScorer
from training.candidates import text_candidates

LENGTHS = (350, 550)
BATCH = 1000
ALONE = 300
SYLLABLES = "ra mi ter con sé dé pro lo gement trans port é cole ti on ment le la re pa ris mai rie de man dos sier im pôt"


def made_up(count: int) -> tuple[list[str], list[str]]:
    """Return texts of about 450 characters and their labels, words as unequally frequent as in a language."""
    random = np.random.default_rng(0)
    syllables = SYLLABLES.split()
    words = ["".join(random.choice(syllables, random.integers(1, 5))) for _ in range(20_000)]
    frequency = 1.0 / np.arange(1, len(words) + 1)
    frequency /= frequency.sum()
    labels = [f"thème {i % 10}" for i in range(count)]
    texts = []
    for i in range(count):
        own = [words[(i % 10) * 40 + j] for j in random.integers(0, 40, 8)]
        texts.append(" ".join(random.permutation([*random.choice(words, 60, p=frequency), *own])))
    return texts, labels


def read(path: Path, columns: list[str], label: str) -> tuple[list[str], list[str]]:
    """Return the texts (several columns are joined) and labels of a CSV file."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    return table[columns].agg(" ".join, axis=1).tolist(), table[label].tolist()


def frame(texts: list[str]) -> pd.DataFrame:
    """Return the texts as the table that the pipeline takes."""
    return pd.DataFrame({"text": pd.Series(texts, dtype=object)})


def seconds(call: Callable[[], object]) -> float:
    """Return how long one call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def compare(name: str, ours: Callable[[], object], theirs: Callable[[], object], texts: int, rounds: int) -> None:
    """Run both in turn and print the median of each and their ratio."""
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(rounds)]
    mine, other = (statistics.median(pair[i] for pair in pairs) / texts * 1000 for i in range(2))
    print(f"{name:<34}{mine:>10.3f} ms{other:>12.3f} ms{other / mine:>9.1f} x")


def measure(pipeline: Pipeline, texts: list[str], rounds: int) -> None:
    """Print the rates for these texts, no two alike."""
    scorer = compile_pipeline(pipeline)
    if not isinstance(scorer, CompiledScorer):
        raise SystemExit(f"{scorer.part}: {scorer.why}")
    records = [{"text": text} for text in texts]
    alone = [(record, frame([record["text"]])) for record in records[:ALONE]]
    batch, table = records[:BATCH], frame(texts[:BATCH])
    print(f"{'a text':<34}{'compiled':>13}{'scikit-learn':>15}{'ratio':>11}")

    def fresh() -> None:
        again = compile_pipeline(pipeline)
        assert isinstance(again, CompiledScorer)  # noqa: S101 - compiled a moment ago
        again.answers(batch)[1]

    compare(f"{len(batch)} in one call, first of all", fresh, lambda: pipeline.predict_proba(table), len(batch), rounds)
    compare(f"{len(batch)} in one call", lambda: scorer.answers(batch)[1], lambda: pipeline.predict_proba(table), len(batch), rounds)

    def ours() -> None:
        for record, _ in alone:
            scorer.one(record)

    def theirs() -> None:
        for _, row in alone:
            pipeline.predict_proba(row)

    compare("alone", ours, theirs, len(alone), rounds)
    difference = float(np.abs(scorer.answers(batch)[1] - pipeline.predict_proba(table)).max())
    same = scorer.labels(batch) == pipeline.predict(table).tolist()
    print(f"largest difference of a probability {difference:.1e}, labels {'all the same' if same else 'NOT ALL THE SAME'}")


def main() -> None:
    """Fit the mixed candidate, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, help="CSV file with texts and labels")
    parser.add_argument("--text", nargs="+", default=["text"], help="columns that make up the text")
    parser.add_argument("--label", default="label", help="column of the label")
    parser.add_argument("--candidate", default="mixed_lr", help="name of the candidate of training/")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    texts, labels = read(options.file, options.text, options.label) if options.file else made_up(3000)
    [pipeline] = [candidate.pipeline for candidate in text_candidates() if candidate.name == options.candidate]
    pipeline.fit(frame(texts), labels)
    usual = [text for text in dict.fromkeys(texts) if LENGTHS[0] <= len(text) <= LENGTHS[1]] or texts
    print(f"{options.candidate}, {len(usual)} texts of {np.mean([len(text) for text in usual]):.0f} characters, {len(set(labels))} classes")
    gc.collect()
    gc.freeze()
    measure(pipeline, usual, options.rounds)


if __name__ == "__main__":
    main()
