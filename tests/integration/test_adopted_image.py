"""The image of an adopted model: its own environment beside the service's, all of it listed, and its golden predictions in a container."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import bentoml
import pandas as pd
import pytest
from bentoml._internal.models.model import ModelStore
from sklearn.linear_model import LogisticRegression
from skops.io import dumps, get_untrusted_types

from passerelle.bentos.adopted_image import MODEL_PYTHON
from passerelle.bentos.build import build
from passerelle.bentos.containerize import containerize
from passerelle.bentos.engine import ask
from passerelle.bentos.image_options import ImageOptions
from passerelle.model.golden import read_golden
from passerelle.names import BentoTag
from passerelle.rollout.container import smoke
from passerelle.settings import StoreSettings
from tests.engine_fixtures import ROOT, removed
from tests.model_environments import write_adopted

pytestmark = [pytest.mark.integration, pytest.mark.engine]

TAG = BentoTag("adopted", "7-00000000")
TABLE = pd.DataFrame({"age": [20.0, 30.0, 60.0, 70.0], "income": [1.0, 2.0, 8.0, 9.0]})
IMAGE = "passerelle-test/adopted:1"


def write_store(home: Path, folder: Path) -> StoreSettings:
    """Write a store with the adopted model of a folder, and a bento of it."""
    labels = {"passerelle.registered_model": "test", "passerelle.version": "7"}
    (home / "models").mkdir(parents=True)
    with bentoml.models.create(str(TAG), labels=labels, _model_store=ModelStore(home / "models")) as model:
        shutil.copytree(folder, model.path, dirs_exist_ok=True)
    for path in (home / "models").rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    settings = StoreSettings.read(bentoml_home=home)
    build(settings, bento_model_tag=TAG, project=ROOT)
    return settings


def test_the_image_holds_the_environment_of_the_model_beside_the_services(engine: str, tmp_path: Path) -> None:
    estimator = LogisticRegression().fit(TABLE, [0, 0, 1, 1])
    trusted = get_untrusted_types(data=dumps(estimator))
    adopted = write_adopted(tmp_path / "model", estimator, TABLE, serialization_format="skops", skops_trusted_types=trusted)
    settings = write_store(tmp_path / "bentoml", adopted.folder)
    built = containerize(settings, bento_tag=TAG, options=ImageOptions(image_name=IMAGE))
    try:
        assert {name: built.labels[f"passerelle.{name}"] for name in ("flavor", "task", "golden_origin", "pickled")} == {
            "flavor": "sklearn", "task": "classification", "golden_origin": "examples", "pickled": "false",
        }  # fmt: skip
        assert built.sbom is not None
        listed = {each["name"] for each in json.loads(built.sbom.read_text())["components"]}
        assert {"bentoml", "scikit-learn", "skops"} <= listed
        assert "mlflow" not in listed
        # The service has what answers requests, the model what predicts; neither sees the other's packages.
        script = "import importlib.util as u; print([name for name in ('bentoml', 'sklearn') if u.find_spec(name)])"
        for program, options, expected in (("python3", [], "['bentoml']"), (MODEL_PYTHON, ["-I"], "['sklearn']")):
            printed = ask(engine, "run", "--rm", "--network", "none", "--entrypoint", program, IMAGE, *options, "-c", script)
            assert printed.stdout.strip() == expected, printed.stderr
        golden = read_golden(adopted.folder / "golden.json")
        # Without a privilege, a writable root or a network to anywhere but here.
        report = smoke(engine, IMAGE, golden, expected_version="7", environment={"PASSERELLE_VERIFY": "off"})
        assert report.smoke.inputs == len(TABLE)
        assert not containerize(settings, bento_tag=TAG, options=ImageOptions(image_name=IMAGE)).created
    finally:
        removed(engine, IMAGE)
