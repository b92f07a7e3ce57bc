"""The libraries of the serving image, as the project locked them."""

from __future__ import annotations

from pathlib import Path

from packaging.requirements import Requirement

from passerelle.errors import UsageError
from passerelle.stages.context import project_folder

# The service image's base: python:3.11-slim.
_IN_THE_IMAGE = {"python_version": "3.11", "python_full_version": "3.11.0", "sys_platform": "linux", "platform_system": "Linux"}


def serving_libraries(project: Path) -> dict[str, str]:
    """Return the version of each library that the serving image gets, from the project's locked requirements.

    Raises:
        UsageError: The folder is no project, or its requirements are missing.
    """
    requirements = project_folder(project) / "requirements" / "service.txt"
    if not requirements.is_file():
        raise UsageError(
            f"{requirements} is missing: it says which libraries the image gets",
            hint="git checkout requirements\npasserelle new --update --yes",
        )
    lines = (line.rstrip(" \\") for line in requirements.read_text(encoding="utf-8").splitlines() if line[:1].isalpha() and "==" in line)
    pinned = (Requirement(line) for line in lines)
    return {each.name: str(each.specifier)[2:] for each in pinned if each.marker is None or each.marker.evaluate(_IN_THE_IMAGE)}
