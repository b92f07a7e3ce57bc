"""Two adopted models in containers: each in its own environment beside the service's, all of it listed, with its golden predictions.

One is read by this Python, and one by another than the service has.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import bentoml
import pandas as pd
import pytest
import yaml
from bentoml._internal.models.model import ModelStore
from sklearn.linear_model import LogisticRegression
from skops.io import dumps, get_untrusted_types

from passerelle.bentos.adopted_image import MODEL_PYTHON
from passerelle.bentos.build import build
from passerelle.bentos.containerize import containerize
from passerelle.bentos.engine import ask
from passerelle.bentos.image_options import ImageOptions
from passerelle.environments.environment import ensure
from passerelle.environments.lock import lock_for
from passerelle.errors import NotFoundError
from passerelle.model.adoption import ADOPTION_FILE, LOCK_FILE
from passerelle.model.golden import read_golden
from passerelle.model.hosted import HostedModel
from passerelle.names import MODEL_FOLDER, BentoTag
from passerelle.rollout.container import smoke
from passerelle.settings import StoreSettings
from tests.adopted_models import write_adoption, write_evidence
from tests.engine_fixtures import ROOT, removed
from tests.flavor_environment import flavor_python, is_complete
from tests.model_environments import settings_of_tests, write_adopted
from tests.other_python import base_of
from tests.saved_models import saved_models

pytestmark = [pytest.mark.integration, pytest.mark.engine]

TAG = BentoTag("adopted", "7-00000000")
TABLE = pd.DataFrame({"age": [20.0, 30.0, 60.0, 70.0], "income": [1.0, 2.0, 8.0, 9.0]})
IMAGE = "passerelle-test/adopted:1"
OTHER_PYTHON, LIGHTGBM = "3.10", "4.7.0"
RECORDS = [{"a": 0.2 * place - 1, "b": 0.5, "n": place} for place in range(10)]


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


@pytest.mark.flavors
def test_a_model_of_another_python_answers_in_a_container(engine: str, tmp_path: Path) -> None:
    if not is_complete(flavor_python()):
        pytest.skip("the environment of the flavors is missing: .venv/bin/python -m tests.flavor_environment")
    folder = tmp_path / "model"
    folder.mkdir()
    shutil.copytree(saved_models(flavor_python(), "flavor_models.py") / "lightgbm regression", folder / MODEL_FOLDER)
    try:
        base, made = base_of(engine, OTHER_PYTHON)
        _adopt_for_another_python(folder)
    except NotFoundError as error:
        pytest.skip(error.message)
    image = f"{IMAGE}-of-python-{OTHER_PYTHON}"
    settings = write_store(tmp_path / "bentoml", folder)
    try:
        built = containerize(settings, bento_tag=TAG, options=ImageOptions(image_name=image))
        assert {name: built.labels[f"passerelle.{name}"] for name in ("flavor", "task", "pickled")} == {
            "flavor": "lightgbm", "task": "regression", "pickled": "false",
        }  # fmt: skip
        assert built.sbom is not None
        listed = {(each["name"], each["version"]) for each in json.loads(built.sbom.read_text())["components"]}
        assert ("lightgbm", LIGHTGBM) in listed
        assert any(name == "python" and version.startswith(f"{OTHER_PYTHON}.") for name, version in listed)
        golden = read_golden(folder / "golden.json")
        report = smoke(engine, image, golden, expected_version="7", environment={"PASSERELLE_VERIFY": "off"})
        assert report.smoke.inputs == len(RECORDS)
    finally:
        removed(engine, image, *([base] if made else []))


def _adopt_for_another_python(folder: Path) -> None:
    """Write what adoption records beside the model, from what it answers on that Python: each answer is another number."""
    overrides = [f"lightgbm=={LIGHTGBM}", "numpy==1.26.4", "pandas==2.3.3", "scipy==1.15.3"]
    locked = lock_for(folder / MODEL_FOLDER, python=OTHER_PYTHON, overrides=overrides)
    signature = {name: json.loads(part) for name, part in logged_signature(folder).items()}
    adoption = replace(write_adoption(folder, **signature, task="regression"), python=OTHER_PYTHON, libraries=locked.libraries)
    (folder / ADOPTION_FILE).write_text(adoption.canonical())
    (folder / LOCK_FILE).write_text(locked.text)
    python = ensure(folder / LOCK_FILE, OTHER_PYTHON, settings_of_tests())
    hosted = HostedModel(folder, adoption, python=python, settings=settings_of_tests())
    try:
        write_evidence(folder, hosted, RECORDS, version="7")
        assert len(set(map(str, hosted.predict(RECORDS).values))) > 1
    finally:
        hosted.close()


def logged_signature(folder: Path) -> dict[str, str]:
    """Return the parts of the signature of the MLmodel file."""
    content = yaml.safe_load((folder / MODEL_FOLDER / "MLmodel").read_text())["signature"]
    return {name: content[name] for name in ("inputs", "outputs")}
