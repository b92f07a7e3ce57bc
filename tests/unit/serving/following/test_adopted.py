"""Adopted versions: their record and their requirements are downloaded and checked, their environment must be the one that is here."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from passerelle.model.adoption import ADOPTION_FILE, LOCK_FILE, Adoption
from passerelle.model.environment import environment_folder
from passerelle.model.loaded import LoadedModel
from passerelle.model.mlmodel import describe
from passerelle.names import ARTIFACT_DIGEST, BUNDLE, MODEL_FOLDER
from passerelle.serving.following import worker as worker_module
from passerelle.serving.following.acceptance import accepted, check_adopted_environment
from passerelle.serving.following.download import Download
from passerelle.serving.following.failures import VersionRefusedError
from passerelle.serving.following.mlflow_rest import MlflowRest
from passerelle.settings import LoadingSettings
from tests.unit.serving.following.registry_double import ALIAS, NAME, RegistryDouble
from tests.unit.serving.following.workers import Worker, until
from tests.unit.serving.models import vouched

LOCK = "scikit-learn==1.7.2 --hash=sha256:00\n"


@pytest.fixture
def adopted(versions: dict[int, Path], tmp_path: Path) -> Path:
    """A version as adoption leaves it: the first one's files, with a record and requirements beside them."""
    folder = Path(shutil.copytree(versions[1], tmp_path / "adopted"))
    signature = dict(describe(folder / MODEL_FOLDER).signature)
    record = Adoption("models:/m-1", "", "sklearn", "classification", signature, golden_origin="signature", python="3.11")
    (folder / ADOPTION_FILE).write_text(record.canonical())
    (folder / LOCK_FILE).write_text(LOCK)
    return vouched(folder, version="3", run_id="3" * 32)


@pytest.fixture
def of_registry(registry: RegistryDouble, adopted: Path) -> Iterator[tuple[RegistryDouble, str]]:
    """The registry with that version in production, and its digest."""
    registry.register(3, adopted)
    for name in (ADOPTION_FILE, LOCK_FILE):
        registry.artifacts["3" * 32, name] = (adopted / name).read_bytes()
    registry.promote(3, 2)
    yield registry, registry.versions[3]["tags"][ARTIFACT_DIGEST]


def download(registry: RegistryDouble, digest: str, folder: Path) -> Path:
    mlflow = MlflowRest(registry.settings(folder))
    version = mlflow.aliased(NAME, ALIAS)
    assert version is not None
    Download(mlflow, version, digest, folder / "version", 10**9).run()
    return folder / "version"


@pytest.mark.parametrize("bundle", [True, False])
def test_the_record_and_the_requirements_are_downloaded(of_registry: tuple[RegistryDouble, str], tmp_path: Path, bundle: bool) -> None:
    registry, digest = of_registry
    if not bundle:
        del registry.artifacts["3" * 32, BUNDLE]
    folder = download(registry, digest, tmp_path)
    assert (folder / LOCK_FILE).read_text() == LOCK
    adoption = describe(folder / MODEL_FOLDER, scorer_alone=True).adoption
    assert adoption is not None
    assert adoption.flavor == "sklearn"


@pytest.mark.parametrize("name", [ADOPTION_FILE, LOCK_FILE])
def test_a_record_that_was_changed_is_refused_by_its_digest(of_registry: tuple[RegistryDouble, str], tmp_path: Path, name: str) -> None:
    registry, digest = of_registry
    del registry.artifacts["3" * 32, BUNDLE]
    registry.artifacts["3" * 32, name] += b" "
    with pytest.raises(VersionRefusedError, match=f"the file {name} is not the one") as refused:
        download(registry, digest, tmp_path)
    assert refused.value.code == "digest"


def test_a_service_without_the_environment_says_that_it_cannot_follow(
    of_registry: tuple[RegistryDouble, str], versions: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSERELLE_ENVIRONMENTS_DIR", str(tmp_path / "environments"))
    worker = Worker(of_registry[0], versions[1], tmp_path / "follow")
    try:
        said = worker.ask("/readyz", "GET").json()
        assert (said["model_version"], said["following"]["code"]) == ("1", "libraries")
        assert "the environment that its process runs in is not here" in said["following"]["message"]
        assert said["following"]["hint"] == "passerelle import; passerelle build; passerelle containerize; passerelle deploy"
        assert worker.version == "1"
    finally:
        worker.stop()


def test_an_image_takes_versions_of_its_own_environment_alone(adopted: Path, tmp_path: Path) -> None:
    image, bento, other = tmp_path / "image", tmp_path / "bento", tmp_path / "other"
    for folder in (image / "bin", bento, other):
        folder.mkdir(parents=True)
    in_image = LoadingSettings.read({}, model_python=image / "bin" / "python")
    (bento / LOCK_FILE).write_text(LOCK)
    check_adopted_environment(adopted, bento, in_image)
    (image / LOCK_FILE).write_text(LOCK + "numpy==2.0.0 --hash=sha256:11\n")
    for beside, of_bento in ((in_image, bento), (LoadingSettings.read({}, model_python=other / "bin" / "python"), None)):
        with pytest.raises(VersionRefusedError, match="other requirements") as refused:
            check_adopted_environment(adopted, of_bento, beside)
        assert refused.value.code == "libraries"


def test_elsewhere_the_environment_must_have_been_made(adopted: Path, tmp_path: Path) -> None:
    settings = LoadingSettings.read({}, environments_dir=tmp_path / "environments")
    with pytest.raises(VersionRefusedError, match="not here"):
        check_adopted_environment(adopted, None, settings)
    python = environment_folder(adopted / LOCK_FILE, settings) / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    check_adopted_environment(adopted, None, settings)


def test_a_version_of_another_task_is_refused(adopted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("passerelle.serving.following.acceptance.check_adopted_environment", lambda *_: None)
    served = describe(adopted / MODEL_FOLDER)
    record = json.loads((adopted / ADOPTION_FILE).read_text())
    (adopted / ADOPTION_FILE).write_text(
        Adoption(**{k: v for k, v in record.items() if k != "schema"} | {"task": "regression"}).canonical()
    )
    with pytest.raises(VersionRefusedError) as refused:
        accepted(vouched(adopted), served, None, {}, most_cpu_ms=100)
    assert (refused.value.code, "regression" in refused.value.message) == ("task", True)


class Closable:
    """A loaded model that notes its end."""

    def __init__(self, model: LoadedModel, closed: list[str]) -> None:
        self._model = model
        self._closed = closed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def close(self) -> None:
        """Note it."""
        self._closed.append(self._model.version)


def test_the_process_of_a_former_version_ends_once_no_request_can_be_with_it(
    registry: RegistryDouble, versions: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []
    monkeypatch.setattr(worker_module, "accepted", lambda *given, **named: Closable(accepted(*given, **named), closed))
    worker = Worker(registry, versions[1], tmp_path, follow_keep_s=0.0)
    try:
        following = cast("Any", worker.runtime.following)
        registry.promote(2, 2)
        until(lambda: worker.version == "2" and bool(following._closing))
        assert closed == [], "a request that was begun may still be with it"
        monkeypatch.setattr(worker_module, "_LONGEST_REQUEST_S", 0.0)
        registry.promote(1, 3)
        until(lambda: worker.version == "1" and closed == ["2"])
        assert worker.ask().json()["model_version"] == "1"
    finally:
        worker.stop()
