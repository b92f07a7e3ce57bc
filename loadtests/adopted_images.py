"""The image of an adopted LightGBM model next to the one that `mlflow models build-docker` makes of it, built in one run.

    python -m loadtests.adopted_images             some two minutes; needs Docker and `python -m tests.flavor_environment`

MLflow builds on `python:X.Y.Z-slim`, which has pip. Where no registry has that image, the one that ours starts from stands in for it,
with pip.
"""

# ruff: noqa: T201 - a script that prints

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import bentoml
from bentoml._internal.models.model import ModelStore

from loadtests.flavor_rate import logged
from loadtests.images import PEERS, Measured, megabytes, mlflow_docker
from loadtests.machine import describe_machine
from passerelle.bentos.build import build
from passerelle.bentos.containerize import containerize
from passerelle.bentos.engine import ask
from passerelle.bentos.image_options import BASE, ImageOptions
from passerelle.environments.environment import ensure
from passerelle.environments.lock import lock_for
from passerelle.model.adoption import ADOPTION_FILE, LOCK_FILE
from passerelle.model.golden import read_golden
from passerelle.model.hosted import HostedModel
from passerelle.names import GOLDEN, MODEL_FOLDER, BentoTag
from passerelle.rollout.container import smoke
from passerelle.settings import StoreSettings
from tests.adopted_models import write_adoption, write_evidence
from tests.cached_environment import ROOT
from tests.model_environments import settings_of_tests

TAG = BentoTag("adopted", "1-00000000")
NAME = "lightgbm estimator"
IMAGE = "passerelle/measured:adopted"
GOAL = 0.5
BASE_OF_MLFLOW = f"python:{'.'.join(map(str, sys.version_info[:3]))}-slim"
_BUILD_S = 600
_WITH_PIP = f"""
FROM {BASE}
RUN command -v pip || (apt-get update && apt-get install --yes --no-install-recommends python3-pip \\
    && rm -rf /var/lib/apt/lists/* /usr/lib/python3*/EXTERNALLY-MANAGED)
"""
#: As MLflow infers them where the model is logged without a list.
_REQUIREMENTS = ("mlflow", "lightgbm", "scikit-learn", "numpy", "pandas", "scipy")


def adopted(home: Path) -> StoreSettings:
    """Write a store with the adopted model, and a bento of it."""
    (home / "models").mkdir(parents=True)
    labels = {"passerelle.registered_model": "test", "passerelle.version": "1"}
    with bentoml.models.create(str(TAG), labels=labels, _model_store=ModelStore(home / "models")) as model:
        folder = Path(model.path)
        records = logged(folder, NAME)
        content = json.loads((folder / "signature.json").read_text(encoding="utf-8"))
        for extra in ("records.json", "signature.json"):
            (folder / extra).unlink()
        _write_requirements(folder / MODEL_FOLDER / "requirements.txt")
        locked = lock_for(folder / MODEL_FOLDER)
        adoption = replace(write_adoption(folder, inputs=content["inputs"], outputs=content.get("outputs")), python=locked.python)
        (folder / ADOPTION_FILE).write_text(adoption.canonical(), encoding="utf-8")
        (folder / LOCK_FILE).write_text(locked.text, encoding="utf-8")
        settings = settings_of_tests()
        hosted = HostedModel(folder, adoption, python=ensure(folder / LOCK_FILE, locked.python, settings), settings=settings)
        try:
            write_evidence(folder, hosted, records[:8])
        finally:
            hosted.close()
    for path in (home / "models").rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    store = StoreSettings.read(bentoml_home=home)
    build(store, bento_model_tag=TAG, project=ROOT)
    return store


def _write_requirements(path: Path) -> None:
    pinned = {
        name: line.strip()
        for line in (ROOT / "tests/data/flavors.txt").read_text(encoding="utf-8").splitlines()
        if (name := line.partition("==")[0]) in _REQUIREMENTS
    }
    lines = [pinned.get(name, f"{name}=={version('mlflow')}") for name in _REQUIREMENTS]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def ours(store: StoreSettings) -> Measured:
    """Build our image and run it against the golden predictions."""
    built = containerize(store, bento_tag=TAG, options=ImageOptions(image_name=IMAGE, cached=False))
    golden = read_golden(Path(str(store.bentoml_home)) / "models" / TAG.name / TAG.version / GOLDEN)
    ran = smoke(built.engine, IMAGE, golden, expected_version="1", environment={"PASSERELLE_VERIFY": "off"})
    size = (built.size_bytes or 0) / 1e6
    return Measured(
        "passerelle", size, megabytes(BASE), built.seconds, 0.0, ran.ready_seconds, (ran.resident_bytes or 0) / 2**20, built.packages
    )


def base_of_mlflow() -> bool:
    """Make what stands for the image that MLflow starts from, where that is not to be had; return whether it was made."""
    if any(ask("docker", *each, BASE_OF_MLFLOW).returncode == 0 for each in (("image", "inspect"), ("pull", "--quiet"))):
        return False
    command = ["docker", "build", "--quiet", "--tag", BASE_OF_MLFLOW, "-"]
    subprocess.run(command, input=_WITH_PIP, text=True, check=True, timeout=_BUILD_S)
    return True


def main() -> None:
    """Build both and print a table in Markdown."""
    print(json.dumps(describe_machine("mlflow", "bentoml"), ensure_ascii=False))
    os.environ["BENTOML_DO_NOT_TRACK"] = "true"
    stood_in = base_of_mlflow()
    with tempfile.TemporaryDirectory(prefix="adopted-images-") as temporary:
        store = adopted(Path(temporary) / "bentoml")
        rows = [ours(store), mlflow_docker(store, TAG)]
    print("| image of a LightGBM model | MB | above its base | built, s | share | goal |\n|---|---|---|---|---|---|")
    for row in rows:
        cells = [row.name, f"{row.size_mb:,.0f}", f"{row.size_mb - row.base_mb:,.0f}", f"{row.build_s:.0f}"]
        share = f"{row.size_mb / rows[-1].size_mb:.2f}"
        print("|", " | ".join([*cells, share, f"≤ {GOAL}" if row is rows[0] else ""]), "|")
    ask("docker", "image", "rm", IMAGE, PEERS[1], *([BASE_OF_MLFLOW] if stood_in else []))


if __name__ == "__main__":
    main()
