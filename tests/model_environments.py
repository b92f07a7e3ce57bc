"""Small adopted models on disk, with an environment of their own that uv makes in the cache of the tests, without a registry."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow.sklearn
import pandas as pd
from mlflow.models.signature import infer_signature

from passerelle.environments.environment import ensure
from passerelle.environments.lock import Locked, lock_for
from passerelle.model.adoption import ADOPTION_FILE, LOCK_FILE, Adoption
from passerelle.model.flavors.logged import logged_flavor
from passerelle.model.golden import golden_content
from passerelle.model.hosted import HostedModel
from passerelle.model.manifest import digest_of_manifest, manifest_of
from passerelle.names import MODEL_FOLDER
from passerelle.settings import LoadingSettings

#: As MLflow logs it, with the versions of this environment: the same lock each day, as far as the indexes let it.
REQUIREMENTS = [f"{name}=={version(name)}" for name in ("mlflow", "scikit-learn", "scipy", "numpy", "pandas", "cloudpickle", "joblib")]


def test_environments() -> Path:
    """Return the folder in which the environments of tests are kept."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "passerelle" / "test-environments"


def settings_of_tests() -> LoadingSettings:
    return LoadingSettings.read(environments_dir=test_environments(), adopted_pickles="any")


@dataclass(frozen=True)
class AdoptedForTests:
    """A folder as `import` writes it, and how its environment came about."""

    folder: Path
    locked: Locked
    python: Path

    @property
    def adoption(self) -> Adoption:
        return Adoption.of(json.loads((self.folder / ADOPTION_FILE).read_text()))


def write_adopted(folder: Path, estimator: Any, examples: pd.DataFrame, flavor: Any = mlflow.sklearn, **save: Any) -> AdoptedForTests:
    """Log a fitted estimator into the folder and adopt it, as far as that needs no registry."""
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / MODEL_FOLDER
    signature = infer_signature(examples, estimator.predict(examples))
    flavor.save_model(estimator, str(model), signature=signature, **{"pip_requirements": REQUIREMENTS, **save})
    locked = lock_for(model)
    (folder / LOCK_FILE).write_text(locked.text)
    python = ensure(folder / LOCK_FILE, locked.python, settings_of_tests())
    logged = logged_flavor(model)
    parts = {name: part for name, part in signature.to_dict().items() if part}
    draft = Adoption(
        "models:/m-1", "", logged.name, "other", parts, "examples", locked.python, pickled=logged.pickled, libraries=locked.libraries
    )
    hosted = HostedModel(folder, draft, python=python, settings=settings_of_tests())
    try:
        records = json.loads(examples.to_json(orient="records"))
        outputs = hosted.predict(records)
        golden = golden_content(records, outputs.values, hosted.classes, outputs.probabilities)
        (folder / ADOPTION_FILE).write_text(replace(draft, task=hosted.task).canonical())  # type: ignore[arg-type]
    finally:
        hosted.close()
    (folder / "golden.json").write_text(json.dumps(golden, ensure_ascii=False))
    manifest = manifest_of(model, folder / "golden.json")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    lineage = {"registered_model": "test", "version": "7", "run_id": "0" * 32, "artifact_digest": digest_of_manifest(manifest)}
    (folder / "lineage.json").write_text(json.dumps(lineage))
    return AdoptedForTests(folder, locked, python)
