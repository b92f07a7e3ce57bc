"""A bento of the small text model and its images, made once for a test run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bentoml
import pytest
import yaml
from bentoml._internal.models.model import ModelStore
from filelock import FileLock

from passerelle.bentos.build import build
from passerelle.bentos.containerize import BuiltImage, containerize
from passerelle.bentos.engine import find_engine
from passerelle.bentos.image_options import ImageOptions
from passerelle.errors import OutsideError
from passerelle.model.golden import Golden, read_golden
from passerelle.names import BentoTag
from passerelle.rollout.stack_images import folder_digests
from passerelle.settings import StoreSettings
from tests.unit.serving.models import text_pipeline, text_table, vouch_for, write_bento_model

ROOT = Path(__file__).resolve().parents[1]
TAG = BentoTag("classification", "7-00000000")


def stack_image(service: str) -> str:
    """Return the name of one of the stack's own images as this checkout makes it."""
    name = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"][service]["image"]
    for variable, digest in folder_digests(ROOT / "deploy").items():
        name = name.replace(f"${{{variable}:-plain}}", digest)
    variable, _, default = name.removeprefix("${").removesuffix("}").partition(":-")
    return os.environ.get(variable) or str(default)


@dataclass(frozen=True)
class BentoForTests:
    """A store with one bento, and the engine that makes images of it."""

    settings: StoreSettings
    engine: str
    repository: str

    def image(self, *, name: str = "", slim: bool = False, **wanted: Any) -> BuiltImage:
        """Build the bento's image, or take the one that is there."""
        tag = name or f"{self.repository}:{'slim' if slim else 'whole'}"
        return containerize(self.settings, bento_tag=TAG, options=ImageOptions(image_name=tag, slim=slim, **wanted))

    @property
    def golden(self) -> Golden:
        """The golden predictions of the model inside."""
        assert self.settings.bentoml_home is not None
        return read_golden(self.settings.bentoml_home / "models" / TAG.name / TAG.version / "golden.json")


def write_bento(home: Path, *, version: str = "7", pipeline: Any = None) -> StoreSettings:
    """Write a store with the small text model, or another pipeline, and a bento of it."""
    (home / "models").mkdir(parents=True)
    labels = {"passerelle.registered_model": "test", "passerelle.version": version, "passerelle.git_commit": "0" * 40}
    with bentoml.models.create(str(TAG), labels=labels, _model_store=ModelStore(home / "models")) as model:
        write_bento_model(Path(model.path), text_pipeline() if pipeline is None else pipeline, text_table()[0], version=version)
        # As import does: what is said to the store is said beside the model too.
        said = {name.removeprefix("passerelle."): value for name, value in labels.items()}
        lineage = Path(model.path) / "lineage.json"
        lineage.write_text(json.dumps(json.loads(lineage.read_text()) | said))
        vouch_for(Path(model.path))
    for path in (home / "models").rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    settings = StoreSettings.read(bentoml_home=home)
    build(settings, bento_model_tag=TAG, project=ROOT)
    return settings


@pytest.fixture(scope="session")
def engine() -> str:
    """The container engine of this machine."""
    try:
        return find_engine()
    except OutsideError as error:
        pytest.skip(error.message)


@pytest.fixture(scope="session")
def bento(engine: str, tmp_path_factory: pytest.TempPathFactory) -> BentoForTests:
    """One store for all test processes, so that an image is built once."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if os.environ.get("PYTEST_XDIST_WORKER") else root
    home = root / "bento-for-images"
    with FileLock(root / "bento-for-images.lock"):
        settings = StoreSettings.read(bentoml_home=home) if home.exists() else write_bento(home)
        made = BentoForTests(settings, engine, f"passerelle-test/{root.name}")
        made.image()
        made.image(slim=True)
    return made


def copied_store(bento: BentoForTests, target: Path) -> None:
    """Copy the store, which other test processes build images from at the same time."""
    assert bento.settings.bentoml_home is not None
    shutil.copytree(bento.settings.bentoml_home, target, symlinks=True, ignore=shutil.ignore_patterns(".passerelle-*"))


def copied_project(folder: Path) -> Path:
    """Copy what a bento is built from."""
    folder.mkdir()
    for name in ("bentofile.yaml", "service.py"):
        shutil.copy2(ROOT / name, folder)
    for name in ("requirements", "src"):
        shutil.copytree(ROOT / name, folder / name)
    return folder


def removed(engine: str, *images: str) -> None:
    """Remove images that a test made for itself."""
    subprocess.run([engine, "image", "rm", "--force", *images], capture_output=True, check=False, timeout=60)
