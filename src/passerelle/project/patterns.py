"""Which of the root's files every project gets; read while the wheel is built too, so it imports nothing but the standard library."""

from __future__ import annotations

from pathlib import Path

PATTERNS = (
    "service.py",
    "bentofile.yaml",
    ".gitignore",
    "requirements/scorer.txt",
    "requirements/service.txt",
    "requirements/workbench.txt",
    "training/*.py",
    "training/*.md",
    "training/criteria.*",
    "training/tests/*.py",
    ".github/workflows/delivery.yml",
    ".gitlab/delivery.yml",
    "deploy/delivery.mk",
    "deploy/.dockerignore",
    "deploy/compose.yaml",
    "deploy/compose.follow.yaml",
    # By name, because the secrets of a local stack are in the same folder.
    *(
        f"deploy/{folder}/**/*"
        for folder in (
            "airflow",
            "alertmanager",
            "backup",
            "collector",
            "grafana",
            "healthy",
            "kubernetes",
            "minio",
            "mlflow",
            "prometheus",
            "proxy",
        )
    ),
)
#: What the labels of that data set must keep to.
BEHAVIOUR = "training/behaviour.yaml"
#: The data set that comes with a French project and its behaviour suite, which the wheel holds too.
DATA = ("training/data/comments.csv", "training/data/README.md", BEHAVIOUR)


def matching(root: Path) -> list[str]:
    """Return the paths of the files, relative to the root."""
    found = (path for pattern in (*PATTERNS, *DATA) for path in sorted(root.glob(pattern)))
    return [path.relative_to(root).as_posix() for path in found if path.is_file() and "__pycache__" not in path.parts]
