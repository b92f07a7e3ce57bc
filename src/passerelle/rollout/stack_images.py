"""The digests of the folders that the stack's own images are built from: part of their tags, so that an edit means another image."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from passerelle.bentos.build_secrets import build_secrets, build_variables

if TYPE_CHECKING:
    from passerelle.build_settings import BuildSettings

_HEX: Final = 8
_MLFLOW_SECRET = "mlflow/secret.py"  # noqa: S105 - a file's name
#: By the variable of compose.yaml: files and folders within deploy/ that enter the image.
SOURCES: Final[Mapping[str, tuple[str, ...]]] = {
    "STACK_MLFLOW_DIGEST": ("mlflow",),
    "STACK_MINIO_DIGEST": ("minio", "healthy"),
    "STACK_PROXY_DIGEST": ("proxy", "healthy"),
    "STACK_AIRFLOW_DIGEST": (
        "airflow/Dockerfile",
        "airflow/airflow_container.py",
        "airflow/requirements.txt",
        "mlflow/locked_packages.py",
        _MLFLOW_SECRET,
        "../requirements/workbench.txt",
    ),
}


def folder_digests(deploy: Path) -> dict[str, str]:
    """Return the first characters of SHA-256 over what each image is built from, by the variable of compose.yaml.

    Args:
        deploy: The folder of compose.yaml; an image of which it holds nothing is left out.
    """
    found = {}
    for variable, sources in SOURCES.items():
        files = sorted(
            (source, path.relative_to(deploy / source).as_posix(), path)
            for source in sources
            for path in ((deploy / source).rglob("*") if (deploy / source).is_dir() else (deploy / source,))
            if path.is_file() and path.suffix != ".pyc"
        )
        digest = hashlib.sha256()
        for source, name, path in files:
            digest.update(f"{source}\0{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
        if files:
            found[variable] = digest.hexdigest()[:_HEX]
    return found


def image_variables(deploy: Path) -> dict[str, str]:
    """Return the variables by which compose builds and names the stack's own images: their digests, and an organisation's index."""
    return {**folder_digests(deploy), **build_variables(_build_settings())}


def check_build_settings() -> None:
    """Check that the files which images are to be built with are what their settings say; raises SettingsError otherwise."""
    build_secrets(_build_settings())


def _build_settings() -> BuildSettings:
    from passerelle.build_settings import BuildSettings  # noqa: PLC0415 - commands that start no image do not wait for the settings

    return BuildSettings.read()


if __name__ == "__main__":
    # For plain `docker compose build`: export $(python -m passerelle.rollout.stack_images deploy)
    sys.stdout.writelines(f"{name}={digest}\n" for name, digest in folder_digests(Path(sys.argv[1])).items())
