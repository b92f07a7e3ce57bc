"""A training as MLflow holds it afterwards: runs, tags, metrics, files and models, on the real server."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import mlflow
import numpy as np
import pandas as pd
import pytest
import skops.io
import yaml
from mlflow.entities import Run
from mlflow.store.artifact.s3_artifact_repo import _cached_get_s3_client
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from passerelle.errors import OutsideError, UsageError
from passerelle.model.manifest import digest_of_manifest, digests_of_files
from passerelle.platform.state import RunningPlatform
from passerelle.training.candidate import Candidate, read_failures
from passerelle.training.dataset import Dataset, digest_of
from passerelle.training.groups import row_hashes
from passerelle.training.params import Params
from passerelle.training.result import TrainingResult
from passerelle.training.tracking import check_experiment
from passerelle.training.train import train
from tests.training.short_comments import SUBJECTS, comments, some
from training.candidates import tabular_candidates, text_candidates

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("plain_environment")]


def runs_of(experiment: str) -> dict[str, Run]:
    runs: list[Run] = mlflow.search_runs(experiment_names=[experiment], output_format="list")
    return {str(run.info.run_name): run for run in runs}


def artifact(run_id: str, path: str, folder: Path) -> Path:
    return Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=path, dst_path=str(folder)))


def stable(metrics: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if name.startswith(("cv_", "test_"))}


@pytest.fixture(scope="module")
def trained(platform: RunningPlatform) -> TrainingResult:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in platform.environment.items():
            patch.setenv(name, value)
        patch.setattr("mlflow.models.utils._validate_serving_input", lambda **_: pytest.fail("the model is loaded for its example"))
        return train(
            comments(), tracking_uri=platform.tracking_uri, experiment=f"training-{uuid4().hex}", candidates=some("word_lr", "mixed_svm")
        )


@pytest.fixture
def runs(trained: TrainingResult, platform: RunningPlatform) -> dict[str, Run]:
    mlflow.set_tracking_uri(platform.tracking_uri)
    return runs_of(trained.experiment)


def test_each_candidate_is_a_finished_run_under_one_parent(trained: TrainingResult, runs: dict[str, Run]) -> None:
    assert set(runs) == {"training", "word_lr", "mixed_svm"}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert runs["training"].info.run_id == trained.parent_run_id
    for result in trained.candidates:
        tags = runs[result.name].data.tags
        assert runs[result.name].info.run_id == result.run_id
        assert tags["mlflow.parentRunId"] == trained.parent_run_id
        assert tags["passerelle.kind"] == "candidate"
        assert tags["passerelle.candidate"] == result.name
        assert tags["passerelle.data_digest"] == trained.data_digest == comments().digest
        assert tags["passerelle.seed"] == "0"
        assert (tags["passerelle.language"], tags["passerelle.task"]) == ("fr", "text-classification")
        assert len(tags["passerelle.git_commit"]) in (len("unknown"), 40)
        assert str(Path.cwd()) not in json.dumps(tags)


def test_each_candidate_has_the_figures_that_criteria_may_name(trained: TrainingResult, runs: dict[str, Run]) -> None:
    expected = {f"{part}_{name}" for part in ("cv", "test") for name in ("accuracy", "macro_f1", "log_loss", "calibration_error")}
    expected |= {f"{part}_f1/{slug}" for part in ("cv", "test") for slug in ("pb_de_suivi_delai", "proprete", "acces_connexion")}
    expected |= {"latency_p50_ms", "latency_p95_ms", "size_bytes", "fit_seconds"}
    for result in trained.candidates:
        assert set(result.metrics) == expected
        assert runs[result.name].data.metrics == pytest.approx(dict(result.metrics))
        assert result.metrics["size_bytes"] > 10_000


def test_each_candidate_names_its_data_and_its_settings(runs: dict[str, Run]) -> None:
    run = runs["word_lr"]
    assert run.inputs is not None
    (data,) = run.inputs.dataset_inputs
    assert data.dataset.name == "comments.csv"
    assert comments().digest.removeprefix("sha256:").startswith(data.dataset.digest)
    assert json.loads(data.dataset.source) == {"uri": "comments.csv"}
    assert run.data.params["features__words__ngram_range"] == "(1, 2)"
    assert run.data.params["data.rows"] == "96"


def test_the_parent_holds_the_held_out_records_and_none_of_them_was_learned(
    trained: TrainingResult, runs: dict[str, Run], tmp_path: Path
) -> None:
    held_out = pd.read_parquet(artifact(trained.parent_run_id, "data/held_out.parquet", tmp_path))
    learned = json.loads(artifact(trained.parent_run_id, "data/train_hashes.json", tmp_path).read_text())["rows"]
    assert list(held_out.columns) == ["text", "label", "group"]
    assert len(held_out) == int(runs["training"].data.params["data.held_out_rows"])
    assert len(held_out) + len(learned) == 96
    assert not set(row_hashes(held_out[["text"]])) & set(learned)


def test_the_files_of_a_candidate(trained: TrainingResult, tmp_path: Path) -> None:
    folder = artifact(trained.candidates[0].run_id, "", tmp_path)
    assert {"per_class.json", "golden.json", "confusion_matrix.png", "reliability.png"} <= {path.name for path in folder.iterdir()}
    for name in ("confusion_matrix.png", "reliability.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    rows = json.loads((folder / "per_class.json").read_text())["classes"]
    assert [row["label"] for row in rows] == sorted(SUBJECTS)
    assert all(row["support"] == 32 and 0 <= row["cv_f1"] <= 1 and 0 <= row["test_f1"] <= 1 for row in rows)


@pytest.mark.parametrize("position", [0, 1])
def test_the_model_loads_without_unknown_types_and_repeats_its_golden_predictions(
    trained: TrainingResult, tmp_path: Path, position: int
) -> None:
    result = trained.candidates[position]
    golden = json.loads(artifact(result.run_id, "golden.json", tmp_path).read_text())
    folder = Path(mlflow.artifacts.download_artifacts(f"runs:/{result.run_id}/model", dst_path=str(tmp_path)))
    described = yaml.safe_load((folder / "MLmodel").read_text())
    declared = described["flavors"]["sklearn"]["skops_trusted_types"]
    assert set(skops.io.get_untrusted_types(file=folder / "model.skops")) == set(declared)
    assert all(name.startswith("sklearn.") for name in declared)
    assert json.loads(described["signature"]["inputs"]) == [{"type": "string", "name": "text", "required": True}]
    for name in ("input_example.json", "serving_input_example.json"):
        assert not [text for text in comments().records["text"] if text in (folder / name).read_text()], "everybody may read the example"
    requirements = (folder / "requirements.txt").read_text().splitlines()
    assert [line.split("==")[0] for line in requirements] == ["mlflow", "scikit-learn", "skops", "numpy", "scipy", "pandas"]
    pipeline: Any = skops.io.load(folder / "model.skops", trusted=declared)
    inputs = pd.DataFrame(golden["inputs"])
    assert list(pipeline.predict(inputs)) == golden["labels"]
    assert np.abs(pipeline.predict_proba(inputs) - np.array(golden["probabilities"])).max() <= golden["tolerance"]
    assert list(mlflow.pyfunc.load_model(str(folder)).predict(inputs)) == golden["labels"]


def test_the_model_has_its_digest_and_figures(trained: TrainingResult, runs: dict[str, Run], tmp_path: Path) -> None:
    folder = Path(mlflow.artifacts.download_artifacts(f"runs:/{trained.candidates[0].run_id}/model", dst_path=str(tmp_path)))
    (folder / "registered_model_meta").unlink(missing_ok=True)  # MLflow's own note of where it downloaded from
    assert runs["word_lr"].data.params["digest.model"] == digest_of_manifest({"files": digests_of_files(folder)})
    logged = mlflow.search_logged_models(experiment_ids=[runs["word_lr"].info.experiment_id], output_format="list")
    figures = {model.source_run_id: {metric.key: metric.value for metric in model.metrics or ()} for model in logged}
    assert figures == {each.run_id: pytest.approx(dict(each.metrics)) for each in trained.candidates}


def test_the_same_data_and_seed_give_the_same_figures_and_another_seed_others(
    trained: TrainingResult, platform: RunningPlatform, capfd: pytest.CaptureFixture[str]
) -> None:
    environment, tracking_uri = dict(os.environ), mlflow.get_tracking_uri()
    said: list[str] = []
    again, other = (
        train(
            comments(),
            tracking_uri=platform.tracking_uri,
            experiment=f"training-{uuid4().hex}",
            seed=seed,
            candidates=some("word_lr"),
            progress=said.append,
        )
        for seed in (0, 1)
    )
    assert stable(dict(again.candidates[0].metrics)) == stable(dict(trained.candidates[0].metrics))
    assert stable(dict(other.candidates[0].metrics)) != stable(dict(again.candidates[0].metrics))
    lines = [line.split(":")[0] for line in said if not line.startswith(("still ", "96 records"))]
    assert lines == 2 * [*(f"fold {number} of 5 done" for number in range(1, 6)), "1/1 word_lr"]
    # A stage prints nothing and leaves the process as it was.
    assert capfd.readouterr() == ("", "")
    assert (dict(os.environ), mlflow.get_tracking_uri()) == (environment, tracking_uri)


class Interrupted(LogisticRegression):  # type: ignore[misc]  # scikit-learn has no types
    def fit(self, *_: Any) -> Interrupted:
        raise KeyboardInterrupt


class Broken(LogisticRegression):  # type: ignore[misc]  # scikit-learn has no types
    def fit(self, *_: Any) -> Broken:
        raise ArithmeticError("no convergence")


@pytest.mark.parametrize(
    ("classifier", "error", "runs"),
    [
        (Interrupted(), KeyboardInterrupt, {"training": "KILLED"}),
        (Broken(), UsageError, {"training": "FAILED", "broken": "FAILED"}),
    ],
)
def test_a_training_that_ends_early_says_so(
    platform: RunningPlatform, classifier: Any, error: type[BaseException], runs: dict[str, str]
) -> None:
    experiment = f"training-{uuid4().hex}"
    pipeline = Pipeline([*text_candidates()[0].pipeline.steps[:-1], ("classifier", classifier)])
    with pytest.raises(error):
        train(
            comments(), tracking_uri=platform.tracking_uri, experiment=experiment, candidates=[Candidate("broken", "never fits", pipeline)]
        )
    mlflow.set_tracking_uri(platform.tracking_uri)
    assert {name: run.info.status for name, run in runs_of(experiment).items()} == runs
    assert mlflow.active_run() is None


def test_candidates_that_cannot_be_fitted_or_logged_do_not_keep_the_others(platform: RunningPlatform) -> None:
    class Own(LogisticRegression):  # type: ignore[misc]  # scikit-learn has no types
        pass

    experiment, features = f"training-{uuid4().hex}", text_candidates()[0].pipeline.steps[:-1]
    others = [Candidate(type(last).__name__.lower(), "", Pipeline([*features, ("last", last)])) for last in (Broken(), Own())]
    lines: list[str] = []
    candidates, few = [others[0], *some("word_lr"), others[1]], Params(folds=2)
    result = train(
        comments(), tracking_uri=platform.tracking_uri, experiment=experiment, candidates=candidates, params=few, progress=lines.append
    )
    mlflow.set_tracking_uri(platform.tracking_uri)
    runs = runs_of(experiment)
    statuses = {name: run.info.status for name, run in runs.items()}
    assert statuses == {"training": "FINISHED", "word_lr": "FINISHED", "broken": "FAILED", "own": "FAILED"}
    assert [each.name for each in result.candidates] == ["word_lr"]
    assert [(each.name, "no convergence" in each.reason, "untrusted types" in each.reason) for each in result.failed] == [
        ("broken", True, False), ("own", False, True)
    ]  # fmt: skip
    tags = runs["training"].data.tags
    assert (tags["passerelle.candidates"], read_failures(tags["passerelle.failed_candidates"])) == ("broken,word_lr,own", result.failed)
    assert {"fold 1 of 2 done", "fold 2 of 2 done"} < set(lines)
    assert any(line.startswith("1/3 broken cannot be fitted: ArithmeticError") for line in lines)


def test_a_deleted_experiment_is_named_with_the_way_back(platform: RunningPlatform) -> None:
    mlflow.set_tracking_uri(platform.tracking_uri)
    experiment = f"training-{uuid4().hex}"
    mlflow.delete_experiment(mlflow.create_experiment(experiment))
    with pytest.raises(UsageError, match=f"'{experiment}' is deleted"):
        check_experiment(platform.tracking_uri, experiment)  # which the dry run asks too
    with pytest.raises(UsageError, match=f"'{experiment}' is deleted") as refused:
        train(comments(), tracking_uri=platform.tracking_uri, experiment=experiment, candidates=text_candidates())
    assert "mlflow experiments restore" in (refused.value.hint or "")


@pytest.mark.timing
def test_an_absent_server_is_told_within_seconds() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    start = time.monotonic()
    with pytest.raises(OutsideError, match=f"MLflow does not answer at {address}") as refused:
        train(comments(), tracking_uri=address, experiment="none", candidates=text_candidates())
    assert time.monotonic() - start < 10
    assert refused.value.hint


@pytest.fixture
def fresh_s3_client(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """MLflow keeps an S3 client for hours, and boto3 the keys."""
    _cached_get_s3_client.cache_clear()
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    yield
    _cached_get_s3_client.cache_clear()


@pytest.mark.usefixtures("fresh_s3_client")
def test_wrong_keys_fail_the_run_and_name_the_store(platform: RunningPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
    experiment = f"training-{uuid4().hex}"
    with pytest.raises(OutsideError, match="SignatureDoesNotMatch"):
        train(comments(), tracking_uri=platform.tracking_uri, experiment=experiment, candidates=some("word_lr"))
    mlflow.set_tracking_uri(platform.tracking_uri)
    assert {run.info.status for run in runs_of(experiment).values()} == {"FAILED"}


def test_a_table_of_numbers_and_words_takes_the_same_path(platform: RunningPlatform) -> None:
    wine = load_wine(as_frame=True)
    numbers = ["alcohol", "flavanoids", "proline"]
    records = wine.data[numbers].assign(colour=np.where(wine.data["hue"] > 1, "red", "brown"))
    labels = pd.Series([f"grower {number}" for number in wine.target], name="label")
    data = Dataset(records, labels, digest_of(records, labels), "wine.csv", "tabular")
    candidates, few = tabular_candidates(numbers, ["colour"]), Params(folds=2)
    result = train(data, tracking_uri=platform.tracking_uri, experiment=f"training-{uuid4().hex}", candidates=candidates, params=few)
    mlflow.set_tracking_uri(platform.tracking_uri)
    assert [candidate.name for candidate in result.candidates] == ["scaled_lr", "forest", "boosting"]
    for candidate in result.candidates:
        assert candidate.metrics["test_accuracy"] > 0.8
        model = mlflow.pyfunc.load_model(f"runs:/{candidate.run_id}/model")
        assert [column["name"] for column in model.metadata.signature.inputs.to_dict()] == [*numbers, "colour"]
        assert set(model.predict(records.head(3))) <= set(labels)
