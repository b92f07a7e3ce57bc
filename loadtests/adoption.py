"""Adopting a large model: seconds and processor time, first with no environment and then with the environment in the cache.

    python -m loadtests.adoption                   a forest of 100 MB on an embedded registry, two or three minutes
    python -m loadtests.adoption --megabytes 20

The second adoption is of another version with the same file: it downloads, tries and writes everything again. Environments lie in a folder
of their own, so that the first one really makes one. The processor time is that of this process and of those that it waited for, without
that of the servers.
"""

# ruff: noqa: T201 - a script that prints

from __future__ import annotations

import argparse
import json
import os
import pickle
import resource
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow.models.signature import infer_signature
from sklearn.ensemble import RandomForestClassifier

from loadtests.machine import describe_machine
from passerelle.platform.embedded import EmbeddedPlatform
from passerelle.registry.client import Registry
from passerelle.settings import MlflowSettings, SigningSettings
from passerelle.stages.adopt import Adopted, AdoptionRequest, adopt
from passerelle.stages.adopt_options import AdoptOptions

GOAL_S = 60.0
_ROWS, _COLUMNS = 6_000, 12
_PACKAGES = ("scikit-learn", "numpy", "scipy", "pandas", "cloudpickle", "joblib")


def forest(megabytes: float) -> tuple[RandomForestClassifier, pd.DataFrame]:
    """Return a classifier whose pickle has about this size, and some of its records: labels at random let its trees grow."""
    generator = np.random.default_rng(0)
    table = pd.DataFrame({f"column_{place}": generator.normal(size=_ROWS) for place in range(_COLUMNS)})
    labels = generator.integers(0, 4, _ROWS)
    of_two = RandomForestClassifier(2, random_state=0).fit(table, labels)
    trees = max(1, round(megabytes * 1e6 / (len(pickle.dumps(of_two)) / 2)))
    return RandomForestClassifier(trees, random_state=0, n_jobs=-1).fit(table, labels).set_params(n_jobs=1), table.head(20)


def logged(registry: Registry, model: RandomForestClassifier, records: pd.DataFrame) -> str:
    """Log the model as a notebook does, make it two versions, and return the name of both."""
    mlflow.set_tracking_uri(registry.settings.tracking_uri)
    mlflow.set_experiment("notebook")
    with mlflow.start_run() as run:
        info = mlflow.sklearn.log_model(
            model, name="model", signature=infer_signature(records, model.predict(records)), input_example=records,
            serialization_format="cloudpickle",
            pip_requirements=[f"{name}=={version(name)}" for name in _PACKAGES],
        )  # fmt: skip
    for _ in range(2):
        registry.create_version(registry.settings.registered_model, run.info.run_id, info.model_uri, {})
    return registry.settings.registered_model


def measured(what: Callable[[], Adopted]) -> tuple[Adopted, float, float]:
    """Return the result, its seconds, and the seconds of processor time of this process and its children."""
    began, before = time.perf_counter(), _processor_s()
    result = what()
    return result, time.perf_counter() - began, _processor_s() - before


def _processor_s() -> float:
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def main() -> None:
    """Adopt it twice and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=100.0)
    options = parser.parse_args()
    print(json.dumps(describe_machine("mlflow", "scikit-learn"), ensure_ascii=False))
    with tempfile.TemporaryDirectory(prefix="adoption-") as temporary, EmbeddedPlatform(Path(temporary) / "platform") as platform:
        os.environ |= platform.running.environment
        os.environ |= {"PASSERELLE_ADOPTED_PICKLES": "any", "PASSERELLE_ENVIRONMENTS_DIR": str(Path(temporary) / "environments")}
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
        settings = MlflowSettings.read(tracking_uri=platform.running.tracking_uri, registered_model="forest")
        registry = Registry(settings, platform.running.s3)
        model, records = forest(options.megabytes)
        name = logged(registry, model, records)
        size = len(pickle.dumps(model)) / 1e6
        print("| model | environment | seconds | processor seconds | goal |\n|---|---|---|---|---|")
        for number, environment in ((1, "made"), (2, "cached")):
            request = AdoptionRequest(f"models:/{name}/{number}", AdoptOptions(), signing=SigningSettings(), who="loadtests")
            result, seconds, processor = measured(lambda request=request: adopt(registry, request))  # type: ignore[misc]
            assert result.created  # noqa: S101 - otherwise nothing was measured
            goal = f"≤ {GOAL_S:.0f} s" if environment == "cached" else ""
            print(f"| forest, {size:.0f} MB | {environment} | {seconds:.1f} | {processor:.1f} | {goal} |", flush=True)


if __name__ == "__main__":
    main()
