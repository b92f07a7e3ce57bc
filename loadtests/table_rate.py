"""How many rows a second `passerelle score` scores, next to the scorer alone, `mlflow.pyfunc` in a loop, and pandas with scikit-learn.

    python -m loadtests.table_rate --rows 1000000                          the model that the demo selects
    python -m loadtests.table_rate --rows 1000000 --candidate word_lr      a model of words alone, which scikit-learn cuts quickly

Each figure is taken in a process of its own, one after the other; CPU seconds count where the machine is busy. `score` and the scorer alone
take splits in turn within one process, so that both find the machine as busy. Rates of `score` begin with the first split that is done, so
that no start-up is in them; it is stated apart.
"""

# ruff: noqa: T201 - a script that prints
# ruff: noqa: PLC0415 - the peers' libraries are not loaded where memory is measured

from __future__ import annotations

import argparse
import gc
import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from passerelle.batch.job import ScoreJob
from passerelle.batch.processes import ScoringRecipe, write_split, write_splits
from passerelle.batch.split_rows import BATCH_ROWS, rows_of
from passerelle.batch.table_file import LocalFile, LocalFolder
from passerelle.batch.table_plan import plan_of
from passerelle.model.loaded import load_model
from passerelle.names import MODEL_FOLDER
from passerelle.scorer.scorer import CompiledScorer
from passerelle.settings import ServiceSettings
from passerelle.stages.score_records import record_reader

COMMENTS = Path(__file__).resolve().parents[1] / "training" / "data" / "comments.csv"
SEED = 0
CANDIDATE = "mixed_lr"
BESIDE, FEW, ONE, TWO = "score and the scorer in turn", "score, 10,000 rows", "score, one process", "score, two processes"
PYFUNC, PANDAS = "mlflow.pyfunc in a loop", "pandas in chunks"
#: The peers score fewer rows: their rates do not depend on how many there are.
PYFUNC_ROWS, PANDAS_ROWS, CHUNK_ROWS = 1_000, 50_000, 10_000
#: Splits, by two, that `score` and the scorer take in turn.
MOST_PAIRS = 8


def write_model(folder: Path, name: str = CANDIDATE) -> Path:
    """Write a candidate of the demo, trained on all comments."""
    import pandas as pd

    from tests.unit.serving.models import write_bento_model
    from training.candidates import text_candidates

    comments = pd.read_csv(COMMENTS)
    candidate = next(each for each in text_candidates(seed=SEED) if each.name == name)
    return write_bento_model(folder, candidate.pipeline.fit(comments[["text"]], comments["label"]), comments[["text"]].head(50))


def write_rows(path: Path, rows: int) -> Path:
    """Write comments of the demo with their words in another order."""
    import pandas as pd

    texts = pd.read_csv(COMMENTS)["text"].tolist()
    chance = random.Random(SEED)  # noqa: S311 - no secret

    def shuffled() -> Iterator[str]:
        for _ in range(rows):
            words = str(chance.choice(texts)).split()
            chance.shuffle(words)
            yield " ".join(words)

    pd.DataFrame({"no": range(rows), "text": list(shuffled())}).to_csv(path, index=False)
    return path


def prepare(folder: Path, rows: int, candidate: str) -> dict[str, float]:
    """Write the model and both tables."""
    write_model(folder / "model", candidate)
    write_rows(folder / "few.csv", 10_000)
    write_rows(folder / "many.csv", rows)
    return {}


def score(model: Path, table: Path, output: Path, processes: int) -> dict[str, float]:
    """Return seconds of the plan and of the start, the rate from then on, and CPU time and memory of scoring."""
    began = time.monotonic()
    plan = plan_of(LocalFile.at(table), ["text", "no"])
    planned = time.monotonic()
    recipe = ScoringRecipe(model, record_reader, ServiceSettings(), ("no",))
    tasks = ScoreJob((plan,), {"artifact_digest": ""}, {"ids": ["no"]}).tasks()
    found = [(time.monotonic(), each) for each in write_splits(tasks, recipe, LocalFolder(output), processes=processes)]
    rows = sum(each.rows for _, each in found)
    after_first = rows - found[0][1].rows
    return {
        "rows": rows,
        "plan_seconds": planned - began,
        "start_seconds": found[0][0] - planned,
        "rows_per_second": after_first / (found[-1][0] - found[0][0]) if after_first else 0.0,
        "cpu_seconds": sum(each.cpu_seconds for _, each in found),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def apart(function: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Return what a function returns in a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(function).result()


def beside_the_scorer(model: Path, table: Path, output: Path) -> dict[str, float]:
    """Return the CPU time of `score`, and of the scorer for the same texts in memory, a split of each in turn."""
    recipe = ScoringRecipe(model, record_reader, ServiceSettings(), ("no",))
    scoring = recipe.scoring()
    scorer = scoring.model.scorer
    assert scorer is not None  # noqa: S101 - the candidate is compiled
    plan = plan_of(LocalFile.at(table), ["text", "no"])
    first, *tasks = ScoreJob((plan,), {"artifact_digest": ""}, {"ids": ["no"]}).tasks()[: 2 * MOST_PAIRS + 1]
    write_split(first, scoring, LocalFolder(output))
    rows, alone, whole = 0, 0.0, 0.0
    for number, task in enumerate(tasks):
        texts = [
            dict(row) for batch in rows_of(task.split, scoring.model.description.columns, ()) for row in batch if isinstance(row, Mapping)
        ]
        # Who comes second finds more words remembered.
        for scores in (number % 2 == 0, number % 2 == 1):
            if scores:
                whole += write_split(task, scoring, LocalFolder(output)).cpu_seconds
            else:
                alone += _scorer_seconds(scorer, texts)
        rows += len(texts)
    return {"rows": rows, "cpu_seconds": whole, "scorer_cpu_seconds": alone}


def _scorer_seconds(scorer: CompiledScorer, records: Sequence[Mapping[str, object]]) -> float:
    began = time.process_time()
    gc.disable()
    for place in range(0, len(records), BATCH_ROWS):
        scorer.answers(records[place : place + BATCH_ROWS])
    gc.enable()
    return time.process_time() - began


def pyfunc_in_a_loop(model: Path, table: Path) -> dict[str, float]:
    """Return the CPU time of one `predict` a row."""
    import mlflow.pyfunc
    import pandas as pd

    loaded = mlflow.pyfunc.load_model(str(model / MODEL_FOLDER))
    rows = pd.read_csv(table, usecols=["text"], nrows=PYFUNC_ROWS)
    loaded.predict(rows.head(1))
    began = time.process_time()
    for place in range(len(rows)):
        loaded.predict(rows.iloc[place : place + 1])
    return {"rows": len(rows), "cpu_seconds": time.process_time() - began}


def pandas_in_chunks(model: Path, table: Path) -> dict[str, float]:
    """Return the CPU time of scikit-learn on chunks that pandas reads, with what `score` writes of each."""
    import pandas as pd

    loaded: Any = load_model(model)
    pipeline = loaded.pipeline()
    began, rows = time.process_time(), 0
    for chunk in pd.read_csv(table, nrows=PANDAS_ROWS, chunksize=CHUNK_ROWS):
        probabilities = pipeline.predict_proba(chunk[["text"]])
        found = pipeline.classes_[probabilities.argmax(axis=1)]
        chunk.assign(label=found, probability=probabilities.max(axis=1)).drop(columns="text").to_parquet(table.with_suffix(".chunk"))
        rows += len(chunk)
    return {"rows": rows, "cpu_seconds": time.process_time() - began}


def measured(folder: Path, rows: int, candidate: str) -> dict[str, dict[str, float]]:
    """Return each figure by its name."""
    model, few, many = folder / "model", folder / "few.csv", folder / "many.csv"
    apart(partial(prepare, folder, rows, candidate))
    cases: dict[str, Callable[[], dict[str, float]]] = {
        BESIDE: partial(beside_the_scorer, model, many, folder / "beside"),
        FEW: partial(score, model, few, folder / "few", 1),
        ONE: partial(score, model, many, folder / "one", 1),
        TWO: partial(score, model, many, folder / "two", 2),
        PYFUNC: partial(pyfunc_in_a_loop, model, many),
        PANDAS: partial(pandas_in_chunks, model, many),
    }
    found = {}
    for name, case in cases.items():
        found[name] = apart(case)
        print(name, json.dumps({key: round(value, 2) for key, value in found[name].items()}), file=sys.stderr, flush=True)
    return found


def compared(found: Mapping[str, Mapping[str, float]]) -> Iterator[tuple[str, float, str]]:
    """Yield each comparison, and its goal."""

    def rate(name: str) -> float:
        return found[name]["rows"] / found[name]["cpu_seconds"]

    yield "score to the scorer alone, rows a CPU second", found[BESIDE]["scorer_cpu_seconds"] / found[BESIDE]["cpu_seconds"], ">= 0.8"
    yield "two processes to one, rows a second without start-up", found[TWO]["rows_per_second"] / found[ONE]["rows_per_second"], ">= 1.8"
    yield "memory of all rows to that of 10,000", found[ONE]["peak_mib"] / found[FEW]["peak_mib"], "<= 1.2"
    yield "score to mlflow.pyfunc in a loop", rate(ONE) / rate(PYFUNC), ">= 20"
    yield "score to pandas in chunks", rate(ONE) / rate(PANDAS), ">= 5"


def main() -> None:
    """Print the figures as JSON, and how they compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--candidate", default=CANDIDATE)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measured(Path(folder), options.rows, options.candidate)
    comparisons = list(compared(found))
    print(
        json.dumps(
            {"candidate": options.candidate, "figures": found, "compared": {name: ratio for name, ratio, _ in comparisons}}, indent=2
        )
    )
    for name, ratio, goal in comparisons:
        print(f"{name:<54} {ratio:8.2f}   {goal}")


if __name__ == "__main__":
    main()
