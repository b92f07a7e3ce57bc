"""Registered versions that differ in what they answer, and bad ones of each kind."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from mlflow.models.signature import infer_signature
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from skops.io import dumps, get_untrusted_types

from passerelle.criteria import Criteria
from passerelle.model.ledger_entry import Entry
from passerelle.model.manifest import digest_of_manifest, manifest_of
from passerelle.names import (
    ARTIFACT_DIGEST,
    BUNDLE,
    GOLDEN,
    GOLDEN_DIGEST,
    MANIFEST,
    MODEL_FOLDER,
    RUN_ID_LENGTH_IN_TAG,
    SCORER_FOLDER,
    SIGNATURE,
    TASK,
    ModelVersionRef,
)
from passerelle.registry.client import Registry
from passerelle.registry.ledger import now
from passerelle.registry.sign import sign
from passerelle.settings import SigningSettings
from passerelle.stages.promotion import put_in_production
from passerelle.stages.register import register
from passerelle.stages.rollback import rollback
from passerelle.training.golden_records import golden_predictions
from tests.platform_fixtures import model_keys, run_keys
from tests.unit.serving.models import LABELS, TEXTS
from training.candidates import text_candidates

CRITERIA = Criteria()
_WHO = "test@here"
#: The largest version that the service under test takes.
MOST_BYTES = 20_000_000


def unchanged(values: Any) -> Any:
    """A function of our own in a pipeline: a type that no operator of the tests' service trusts."""
    return values


def words(*, vectorizer: Any = None, column: str = "text", classifier: Any = None) -> Pipeline:
    """Return a small pipeline that is not fitted yet."""
    features = ColumnTransformer([("words", vectorizer or TfidfVectorizer(), column)])
    return Pipeline([("features", features), ("model", classifier or LogisticRegression())])


def slow() -> Pipeline:
    """Return a pipeline that takes tens of milliseconds for a long text, and that no scorer is compiled for."""
    features, _ = words(vectorizer=HashingVectorizer(analyzer="char", ngram_range=(1, 200), n_features=64)).steps
    return Pipeline([features, ("model", KNeighborsClassifier(1))])


def large() -> Pipeline:
    """Return a pipeline whose compiled scorer holds an array of 12 MiB."""
    return words(vectorizer=HashingVectorizer(n_features=2**19), classifier=SGDClassifier(loss="log_loss", random_state=0))


def untrusted() -> Pipeline:
    """Return a pipeline with a function of the tests' own."""
    return Pipeline([("same", FunctionTransformer(unchanged)), *words().steps])


def demo(turn: int) -> tuple[Pipeline, pd.DataFrame, list[str]]:
    """Return the fastest of the demo's larger candidates and the demo's data, with labels that are another one's at each turn."""
    data = pd.read_csv(Path(__file__).resolve().parents[2] / "training" / "data" / "comments.csv")
    kinds = sorted(set(data["label"]))
    labels = [kinds[(kinds.index(label) + turn) % len(kinds)] for label in data["label"]]
    pipeline = next(each.pipeline for each in text_candidates(seed=0) if each.name == "mixed_sgd")
    return pipeline, data[["text"]], labels


def table(turn: int, texts: Sequence[str] = TEXTS) -> tuple[pd.DataFrame, list[str]]:
    """Return texts with labels that are another one's at each turn."""
    kinds = sorted(set(LABELS))
    labels = [kinds[(kinds.index(label) + turn) % len(kinds)] for label in LABELS]
    return pd.DataFrame({"text": list(texts) * 3}), labels * 3


@dataclass
class Versions:
    """The versions of one registered model.

    Args:
        registry: Where they are registered.
        signing: The key that signs them and the ledger.
        folder: For files on the way, and the file that says what each version answers.
        of_demo: Whether the good versions are as large as those of the demo: trained on its data, all columns of n-grams.
    """

    registry: Registry
    signing: SigningSettings
    folder: Path
    of_demo: bool = False
    answers: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def answers_file(self) -> Path:
        """What each version answers to each text, as JSON; by its number and the beginning of its run's id."""
        return self.folder / "answers.json"

    def logged(self, pipeline: Pipeline, records: pd.DataFrame, labels: Sequence[str], *, task: str = "comments") -> str:
        """Fit the pipeline and return the run that it is logged in."""
        pipeline.fit(records, labels)
        # Address and keys of this platform hold for these calls alone: other tests of the process have a platform of their own.
        with self.registry.environment.calling(artifacts=True), mlflow.start_run(experiment_id=self._experiment()) as run:
            mlflow.set_tag(TASK, task)
            mlflow.log_dict(golden_predictions(pipeline, records), GOLDEN)
            mlflow.sklearn.log_model(
                pipeline,
                name="model",
                serialization_format="skops",
                skops_trusted_types=get_untrusted_types(data=dumps(pipeline)),
                signature=infer_signature(records, pipeline.predict(records)),
                pip_requirements=["scikit-learn"],
            )
        return str(run.info.run_id)

    def _experiment(self) -> str:
        """Return the id of the experiment, which is made where it is missing."""
        name = self.registry.settings.experiment
        found = mlflow.get_experiment_by_name(name)
        return str(found.experiment_id if found else mlflow.create_experiment(name))

    def register(self, run_id: str) -> ModelVersionRef:
        """Register the run's model, signed, and note what it answers."""
        ref = register(self.registry, run_id=run_id, criteria=CRITERIA, signing=self.signing).ref
        assert ref is not None
        return ref

    def good(self, turn: int) -> ModelVersionRef:
        """Return a version that answers as `table(turn)` has it."""
        ref = self.register(self.logged(*demo(turn)) if self.of_demo else self.logged(words(), *table(turn)))
        self.note(ref)
        return ref

    def padded(self, turn: int, size_bytes: int) -> ModelVersionRef:
        """Return a good version of which one file that each service downloads has this size more."""
        ref = self.forged(lambda folder: _pad(next((folder / MODEL_FOLDER / SCORER_FOLDER).glob("*.npy")), size_bytes), turn=turn)
        self.note(ref)
        return ref

    def delete_registered_model(self) -> None:
        """Delete the registered model with all its versions, and move its ledger away; the runs stay."""
        with self.registry.environment.calling():
            mlflow.MlflowClient().delete_registered_model(self.registry.settings.registered_model)
        for key in self.registry.objects.keys(f"ledger/{self.registry.settings.registered_model}/"):
            self.registry.objects.delete(key)

    def note(self, ref: ModelVersionRef, texts: Sequence[str] = TEXTS) -> None:
        """Note what the registered model itself answers to these texts, as MLflow loads it."""
        with self.registry.environment.calling(artifacts=True):
            predicted = mlflow.pyfunc.load_model(ref.uri).predict(pd.DataFrame({"text": list(texts)}))
        self.answers[f"{ref.version} {ref.run_id[:RUN_ID_LENGTH_IN_TAG]}"] = {
            text: str(label) for text, label in zip(texts, predicted, strict=True)
        }
        partial = self.answers_file.with_suffix(".partial")
        partial.write_text(json.dumps(self.answers, ensure_ascii=False), encoding="utf-8")
        partial.replace(self.answers_file)

    def forged(self, change: Callable[[Path], None], *, pipeline: Pipeline | None = None, turn: int = 0) -> ModelVersionRef:
        """Return a version whose files were changed, with a manifest, a signature and tags that say so: only its load can tell.

        Args:
            change: Changes the files in a folder with `mlflow_model/` and `golden.json`.
        """
        run_id = self.logged(pipeline or words(), *table(turn))
        ref = self.register(run_id)
        folder = self.folder / f"forged-{ref.version}"
        self.registry.download_model(ref, folder / "download").rename(folder / MODEL_FOLDER)
        self.registry.run_artifact(run_id, GOLDEN, folder)
        before = manifest_of(folder / MODEL_FOLDER, folder / GOLDEN)
        change(folder)
        after = manifest_of(folder / MODEL_FOLDER, folder / GOLDEN)
        (place,) = (key.removesuffix("/MLmodel") for key in model_keys(self.registry, run_id) if key.endswith("/MLmodel"))
        for name, digest in after["files"].items():
            if before["files"].get(name) != digest:
                self._replace(f"{place}/{name}", (folder / MODEL_FOLDER / name).read_bytes())
        for key in run_keys(self.registry, run_id, f"/{GOLDEN}"):
            self._replace(key, (folder / GOLDEN).read_bytes())
        for key in run_keys(self.registry, run_id, BUNDLE):
            self.registry.objects.delete(key)
        manifest = self.registry.read_json(run_id, MANIFEST) | after
        self.registry.write_json(run_id, MANIFEST, manifest)
        self.registry.write_text(run_id, SIGNATURE, sign(manifest, self.signing, run_id=run_id) or "")
        self.registry.set_version_tags(ref, {ARTIFACT_DIGEST: digest_of_manifest(manifest), GOLDEN_DIGEST: str(manifest["golden"])})
        return ref

    def _replace(self, key: str, content: bytes) -> None:
        self.registry.objects.delete(key)
        assert self.registry.objects.create(key, content)

    def promote(self, ref: ModelVersionRef) -> None:
        """Put the version into production by the ledger; the gate is not asked, which takes longest."""
        tags = self.registry.model_version(ref.registered_model, ref.version).tags
        entry = Entry(
            number=0,
            before="",
            when=now(),
            who=_WHO,
            what="promote",
            registered_model=ref.registered_model,
            from_version=None,
            to_version=ref.version,
            run_id=ref.run_id,
            artifact_digest=tags[ARTIFACT_DIGEST],
        )
        put_in_production(self.registry, ref, entry, signing=self.signing)

    @contextmanager
    def alias_moves(self) -> Iterator[list[float]]:
        """Collect when the alias was moved, on the monotonic clock, for as long as the body runs."""
        moved: list[float] = []
        move = self.registry.set_alias

        def timed(ref: ModelVersionRef, alias: str) -> None:
            move(ref, alias)
            if alias == self.registry.settings.alias:
                moved.append(time.monotonic())

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.registry, "set_alias", timed)
            yield moved

    def rollback(self) -> None:
        """Put the former version back."""
        rollback(self.registry, who=_WHO, signing=self.signing)

    def by_hand(self, ref: ModelVersionRef) -> None:
        """Move the alias as MLflow's own page does, past the ledger."""
        self.registry.set_alias(ref, self.registry.settings.alias)


def _pad(path: Path, size_bytes: int) -> None:
    """Write more behind an array, which its reader ignores."""
    with path.open("ab") as file:
        file.write(bytes(size_bytes))
