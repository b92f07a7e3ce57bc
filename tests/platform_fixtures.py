"""A real MLflow with a real S3 behind it, one for each test process, and two registered candidates in it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow.models.signature import infer_signature
from sklearn.pipeline import Pipeline

from passerelle.criteria import Criteria
from passerelle.model.ledger_entry import Entry
from passerelle.names import ARTIFACT_DIGEST, ModelVersionRef
from passerelle.platform.embedded import EmbeddedPlatform
from passerelle.platform.state import RunningPlatform
from passerelle.registry.client import Registry
from passerelle.registry.ledger import now
from passerelle.settings import MlflowSettings
from passerelle.stages.promotion import Promotion, put_in_production
from passerelle.training.dataset import Dataset, digest_of
from passerelle.training.train import train
from training.candidates import text_candidates

COMMENTS = Path(__file__).resolve().parents[1] / "training" / "data" / "comments.csv"
#: What the image would have, were it made of this environment: for the gate.
HERE = {name: version(name) for name in ("scikit-learn", "numpy", "scipy", "skops")}
OURS = ("MLFLOW_", "AWS_", "PASSERELLE_", "BENTOML_")


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    with EmbeddedPlatform(Path(tmp_path_factory.mktemp("platform"))) as embedded:
        yield embedded.running


@pytest.fixture
def given_environment() -> dict[str, str]:
    """The environment without any variable that points somewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith(OURS)}


@pytest.fixture
def plain_environment(platform: RunningPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point this process at the session's platform, as `eval "$(passerelle env)"` does."""
    for name in list(os.environ):
        if name.startswith(OURS):
            monkeypatch.delenv(name)
    for name, value in platform.environment.items():
        monkeypatch.setenv(name, value)


@dataclass(frozen=True)
class RegisteredForTests:
    """A registry with a training of two quick candidates; each test gets a registered model of its own."""

    registry: Registry
    run_ids: tuple[str, ...]
    parent_run_id: str
    criteria: Criteria

    def fresh(self) -> Registry:
        """Return the same registry under a registered model that nobody used."""
        settings = self.registry.settings.model_copy(update={"registered_model": f"test-{uuid.uuid4().hex[:8]}"})
        return Registry(settings, self.registry.objects.settings)

    def named(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Registry:
        """Return the same as `fresh`, which the commands find by the environment, with their state and their store in this folder."""
        fresh = self.fresh()
        for name, value in {
            "PASSERELLE_REGISTERED_MODEL": fresh.settings.registered_model,
            "PASSERELLE_EXPERIMENT": fresh.settings.experiment,
            "PASSERELLE_STATE_DIR": str(folder / "state"),
            "BENTOML_HOME": str(folder / "bentoml"),
        }.items():
            monkeypatch.setenv(name, value)
        return fresh

    def register(self, registry: Registry, number: int = 0) -> ModelVersionRef:
        """Register one of the candidates and return its version."""
        from passerelle.stages.register import register

        ref = register(registry, run_id=self.run_ids[number], criteria=self.criteria).ref
        assert ref is not None
        return ref

    def register_all_elsewhere(self) -> None:
        """Register every candidate under names of their own, for a test with other criteria.

        A run's manifest names the criteria that accepted it first, and other tests expect these.
        """
        for number in range(len(self.run_ids)):
            self.register(self.fresh(), number)


@pytest.fixture(scope="session")
def trained(platform: RunningPlatform) -> tuple[str, str, tuple[str, ...]]:
    """Train two quick candidates once; return the experiment, the parent run and the candidates' runs."""
    comments = pd.read_csv(COMMENTS)
    few = comments[comments["label"].isin(comments["label"].value_counts().index[:3])].reset_index(drop=True)
    records, labels = few[["text"]], few["label"]
    data = Dataset(records=records, labels=labels, digest=digest_of(records, labels), source="few.csv", kind="text")
    quick = [each for each in text_candidates(seed=0) if each.name in {"word_lr", "mixed_lr"}]
    experiment = f"test-{uuid.uuid4().hex[:8]}"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in platform.environment.items():
            patch.setenv(name, value)
        result = train(data, tracking_uri=platform.tracking_uri, experiment=experiment, candidates=quick)
    return experiment, result.parent_run_id, tuple(each.run_id for each in result.candidates)


@pytest.fixture
def registered(platform: RunningPlatform, trained: tuple[str, str, tuple[str, ...]], plain_environment: None) -> RegisteredForTests:
    experiment, parent_run_id, run_ids = trained
    settings = MlflowSettings.read(tracking_uri=platform.tracking_uri, experiment=experiment)
    return RegisteredForTests(Registry(settings, platform.s3), run_ids, parent_run_id, Criteria())


def logged(registered: RegisteredForTests, pipeline: Pipeline) -> str:
    """Return a run with this model, which no other test registers, and of which training says nothing."""
    from skops.io import dumps, get_untrusted_types

    from passerelle.training.golden_records import golden_predictions
    from tests.unit.serving.models import text_table

    settings = registered.registry.settings
    mlflow.set_tracking_uri(settings.tracking_uri)
    mlflow.set_experiment(settings.experiment)
    table = text_table()[0]
    with mlflow.start_run() as run:
        mlflow.log_dict(golden_predictions(pipeline, table), "golden.json")
        mlflow.sklearn.log_model(
            pipeline,
            name="model",
            serialization_format="skops",
            skops_trusted_types=get_untrusted_types(data=dumps(pipeline)),
            signature=infer_signature(table, pipeline.predict(table)),
            # Else MLflow loads the model in a further process, to see what it imports.
            pip_requirements=[f"{name}=={number}" for name, number in HERE.items()],
        )
    return str(run.info.run_id)


def moved(registry: Registry, ref: ModelVersionRef, who: str = "test@here", when: str | None = None) -> Promotion:
    """Put the version into production as `promote` does once the gate has let it through; the gate takes most of a promotion's time."""
    digest = registry.model_version(ref.registered_model, ref.version).tags[ARTIFACT_DIGEST]
    entry = Entry(0, "", when or now(), who, "promote", ref.registered_model, None, ref.version, ref.run_id, digest)
    return put_in_production(registry, ref, entry)


def run_keys(registry: Registry, run_id: str, *endings: str) -> list[str]:
    """Return the objects of a run's artifacts that end so, as they lie in S3."""
    return [key for key in registry.objects.keys("mlflow/") if f"/{run_id}/" in key and key.endswith(endings)]


def model_keys(registry: Registry, run_id: str) -> list[str]:
    """Return the objects of the run's model, as they lie in S3."""
    folder = registry.model_uri(run_id).removeprefix("models:/")
    return [key for key in registry.objects.keys("mlflow/") if f"/{folder}/" in key]


@contextmanager
def changed_object(registry: Registry, key: str, change: Callable[[bytes], bytes | None]) -> Iterator[None]:
    """Let the object hold something else, or be gone where the change returns None, until the end."""
    whole, _ = registry.objects.read(key)
    changed = change(whole)
    registry.objects.delete(key)
    if changed is not None:
        assert registry.objects.create(key, changed)
    try:
        yield
    finally:
        registry.objects.delete(key)
        assert registry.objects.create(key, whole)


def flipped(content: bytes) -> bytes:
    """Return the content with one bit changed in its middle."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
