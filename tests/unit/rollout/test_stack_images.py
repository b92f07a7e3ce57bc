from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from passerelle.rollout.stack_images import SOURCES, folder_digests

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"


@pytest.fixture
def deploy(tmp_path: Path) -> Path:
    for sources in SOURCES.values():
        for source in sources:
            target = tmp_path / "deploy" / source
            target.parent.mkdir(parents=True, exist_ok=True)
            if (DEPLOY / source).is_dir():
                shutil.copytree(DEPLOY / source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
            elif not target.exists():
                shutil.copy(DEPLOY / source, target)
    (tmp_path / "deploy" / "airflow" / "run_airflow.py").touch()
    return tmp_path / "deploy"


@pytest.mark.parametrize(
    ("file", "images"),
    [
        ("mlflow/Dockerfile", {"MLFLOW"}),
        ("mlflow/secret.py", {"MLFLOW", "AIRFLOW"}),
        ("healthy/main.go", {"MINIO", "PROXY"}),
        ("proxy/Caddyfile", {"PROXY"}),
        ("airflow/requirements.txt", {"AIRFLOW"}),
        ("airflow/run_airflow.py", set()),
    ],
)
def test_an_edit_gives_another_tag_to_the_images_that_it_enters(deploy: Path, file: str, images: set[str]) -> None:
    before = folder_digests(deploy)
    with (deploy / file).open("a") as edited:
        edited.write("# edited\n")
    after = folder_digests(deploy)
    assert {name for name in before if before[name] != after[name]} == {f"STACK_{image}_DIGEST" for image in images}


def test_it_does_not_depend_on_where_the_checkout_is(deploy: Path) -> None:
    (deploy / "mlflow" / "secret.pyc").write_bytes(b"compiled")
    assert folder_digests(deploy) == folder_digests(DEPLOY)
    assert folder_digests(deploy / "nowhere") == {}


def test_each_image_that_is_built_here_is_tagged_so() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    images = {service["image"] for service in services.values() if "build" in service}
    assert {re.findall(r"\$\{(STACK_\w+):-plain\}", image)[0] for image in images} == set(SOURCES)
