"""Files for the next steps of CI: what an image is called by digest, and its bill of materials."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from passerelle.errors import OutsideError
from passerelle.names import VERSION_LABEL

if TYPE_CHECKING:
    from passerelle.stages.containerize import Containerized


def write(result: Containerized, *, outputs: Path | None, sbom: Path | None) -> None:
    """Write the files that were named; nothing on a dry run.

    Args:
        outputs: Gets one line `NAME=value` each, after those that it holds: GitHub's `$GITHUB_OUTPUT`, or a `dotenv` report of GitLab.

    Raises:
        OutsideError: A file cannot be written.
    """
    if result.built.dry_run:
        return
    try:
        if outputs is not None:
            with outputs.open("a", encoding="utf-8") as file:
                file.writelines(f"{name}={value}\n" for name, value in named(result).items())
        if sbom is not None and result.built.sbom is not None:
            shutil.copyfile(result.built.sbom, sbom)
    except OSError as error:
        raise OutsideError(f"cannot write {error.filename}: {error.strerror or error}", hint="df --human-readable .") from error


def named(result: Containerized) -> dict[str, str]:
    """Return the values that later steps need, by the names of their variables; the image by digest only if it was pushed."""
    built = result.built
    values = {"BENTO_TAG": str(built.bento_tag), "MODEL_VERSION": built.labels.get(VERSION_LABEL, "")}
    if result.pushed is None:
        return values
    repository, _, digest = result.pushed.partition("@")
    return {**values, "IMAGE": result.pushed, "REPOSITORY": repository, "DIGEST": digest}
