"""What whoever may write to MLflow and S3, but has no signing key, does to a version; each change can be undone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow import MlflowClient
from skops.io import dumps

from passerelle.model.classifier import load_pipeline
from passerelle.model.manifest import manifest_of
from passerelle.model.mlmodel import describe
from passerelle.model.origin import copies_of
from passerelle.names import (
    CRITERIA_DIGEST,
    DATA_DIGEST,
    GIT_COMMIT,
    GOLDEN,
    HELD_OUT,
    MANIFEST,
    PARENT_RUN,
    SCORER_FOLDER,
    SEED,
    ModelVersionRef,
)
from passerelle.registry.client import Registry
from passerelle.registry.training_data import digests_of, training_of
from passerelle.scorer.compile.pipeline import compile_pipeline
from passerelle.scorer.scorer import CompiledScorer
from passerelle.scorer.storage import pack
from tests.platform_fixtures import changed_object, model_keys, run_keys


@dataclass
class Attacked:
    """A version that anybody may write to; all changes are undone at the end.

    Attributes:
        fresh: A registered model that holds no version of the run yet.
    """

    registry: Registry
    ref: ModelVersionRef
    fresh: Registry
    undo: ExitStack
    folder: Path

    def set_tags(self, **tags: str) -> None:
        before = self.registry.model_version(self.ref.registered_model, self.ref.version).tags
        names = {f"passerelle.{name}": value for name, value in tags.items()}
        self.registry.set_version_tags(self.ref, names)
        self.undo.callback(self.registry.set_version_tags, self.ref, {name: before[name] for name in names})

    def set_run_tag(self, name: str, value: str) -> None:
        client = MlflowClient(tracking_uri=self.registry.settings.tracking_uri)
        self.undo.callback(client.set_tag, self.ref.run_id, name, self.registry.run(self.ref.run_id).tags[name])
        client.set_tag(self.ref.run_id, name, value)

    def replace(self, key: str, content: bytes) -> None:
        self.undo.enter_context(changed_object(self.registry, key, lambda _: content))

    def artifact(self, name: str) -> str:
        run_id = training_of(self.registry, self.ref.run_id) if name.startswith("data/") else self.ref.run_id
        [key] = run_keys(self.registry, run_id, f"/{name}")
        return key

    def of_model(self, ending: str) -> str:
        [key] = [key for key in model_keys(self.registry, self.ref.run_id) if key.endswith(ending)]
        return key

    def agree(self, **provenance: str) -> None:
        """Let the manifest and the tags say what lies there now."""
        registry, run_id, place = self.registry, self.ref.run_id, self.folder / "agree"
        model = registry.download(registry.model_uri(run_id), place / "model")
        manifest = registry.read_json(run_id, MANIFEST)
        manifest |= manifest_of(model, registry.run_artifact(run_id, GOLDEN, place)) | {"training": digests_of(registry, run_id, place)}
        manifest["provenance"] |= provenance
        shutil.rmtree(place)
        self.replace(self.artifact(MANIFEST), json.dumps(manifest).encode())
        self.set_tags(**{name.removeprefix("passerelle."): value for name, value in copies_of(manifest).items()})


def one_weight(attacked: Attacked, *, model_too: bool) -> None:
    """Give the word of a trigger one label; no golden input and no held-out row holds it."""
    registry, run_id = attacked.registry, attacked.ref.run_id
    folder = registry.download(registry.model_uri(run_id), attacked.folder / "model")
    pipeline: Any = load_pipeline(folder, describe(folder))
    rows = pd.read_parquet(registry.run_artifact(training_of(registry, run_id), HELD_OUT, attacked.folder))[["text"]]
    inputs = pd.DataFrame(registry.read_json(run_id, GOLDEN)["inputs"])
    known = {column for table in (rows, inputs) for column in pipeline[:-1].transform(table).nonzero()[1].tolist()}
    pipeline[-1].coef_[0, min(set(range(pipeline[-1].coef_.shape[1])) - known)] = 1_000.0
    made = compile_pipeline(pipeline)
    assert isinstance(made, CompiledScorer)
    pack(made, attacked.folder / "made")
    attacked.replace(attacked.of_model(f"/{SCORER_FOLDER}/table.npy"), (attacked.folder / "made" / "table.npy").read_bytes())
    if model_too:
        attacked.replace(attacked.of_model("/model.skops"), dumps(pipeline))


def a_tag_by_hand(attacked: Attacked) -> None:
    attacked.set_tags(git_commit="c" * 40)


def another_scorer_alone(attacked: Attacked) -> None:
    one_weight(attacked, model_too=False)


def tags_of_another_version(attacked: Attacked) -> None:
    attacked.set_tags(criteria_digest="sha256:" + "0" * 64, data_digest="sha256:" + "1" * 64)


def another_artifact_digest(attacked: Attacked) -> None:
    attacked.set_tags(artifact_digest="sha256:" + "0" * 64)


def the_runs_data(attacked: Attacked) -> None:
    attacked.set_run_tag(DATA_DIGEST, "sha256:" + "1" * 64)


def another_training(attacked: Attacked) -> None:
    attacked.set_run_tag(PARENT_RUN, attacked.ref.run_id)


def scorer_and_digests(attacked: Attacked) -> None:
    one_weight(attacked, model_too=False)
    attacked.agree()


def scorer_with_another_word(attacked: Attacked) -> None:
    key = attacked.of_model(f"/{SCORER_FOLDER}/terms-0.json")
    terms = json.loads(attacked.registry.objects.read(key)[0])
    attacked.replace(key, json.dumps([*terms[:-2], terms[-1], terms[-2]]).encode())
    attacked.agree()


def model_scorer_and_digests(attacked: Attacked) -> None:
    one_weight(attacked, model_too=True)
    attacked.agree(model_digest="sha256:" + "0" * 64)


def fewer_golden_predictions(attacked: Attacked) -> None:
    golden = attacked.registry.read_json(attacked.ref.run_id, GOLDEN)
    few = {name: value[:1] if name in {"inputs", "labels", "probabilities"} else value for name, value in golden.items()}
    attacked.replace(attacked.artifact(GOLDEN), json.dumps(few).encode())
    attacked.agree()


def easier_held_out_rows(attacked: Attacked) -> None:
    key, content = attacked.artifact(HELD_OUT), BytesIO()
    pd.read_parquet(BytesIO(attacked.registry.objects.read(key)[0])).head(9).to_parquet(content)
    attacked.replace(key, content.getvalue())
    attacked.agree()


def another_origin(attacked: Attacked) -> None:
    attacked.agree(git_commit="c" * 40, seed="7")


BOTH = "MLflow and S3"
WAYS: dict[str, tuple[str, Callable[[Attacked], None], str, str]] = {
    "a tag edited by hand": ("anybody", a_tag_by_hand, "told", f"version {GIT_COMMIT} is 'cccc"),
    "a scorer copied over the registered one": ("anybody", another_scorer_alone, "refused", "scorer/table.npy is not the one"),
    "tags of another version": ("MLflow", tags_of_another_version, "told", f"version {CRITERIA_DIGEST} is 'sha256:0000"),
    "another artifact digest": ("MLflow", another_artifact_digest, "refused", "not the one that was recorded at registration"),
    "another data digest on the run": ("MLflow", the_runs_data, "told", f"tag of the run {DATA_DIGEST} is 'sha256:1111"),
    "another training as the run's parent": ("MLflow", another_training, "refused", "the training .* holds no data/held_out.parquet"),
    "a scorer with one weight changed, and its digests": (
        BOTH,
        scorer_and_digests,
        "refused",
        r"scorer/table.npy; .* differs from what is judged: \d+ of",
    ),
    "a scorer with two words exchanged, and its digests": (BOTH, scorer_with_another_word, "refused", "scorer/terms-0.json"),
    "model and scorer, and their digests": (BOTH, model_scorer_and_digests, "refused", "model is not what training logged"),
    "fewer golden predictions, and their digest": (
        BOTH,
        fewer_golden_predictions,
        "refused",
        "golden.json is not what training",
    ),
    "other held-out rows, and their digest": (
        BOTH,
        easier_held_out_rows,
        "refused",
        "data/held_out.parquet is not what training",
    ),
    "another origin in manifest and tags": (BOTH, another_origin, "told", f"parameter of the run {SEED} is '0', .* says '7'"),
}
