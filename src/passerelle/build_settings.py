"""What images are built with inside an organisation: its package index and its authorities."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from passerelle.settings import Settings


class BuildSettings(Settings):
    """What `containerize` and the stack's own images are built with: secrets of the build, which no layer and no history holds."""

    build_pip_conf: Path | None = Field(
        default=None,
        description="File in pip's format whose `index-url` in `[global]` names the package index, with user and password where it asks"
        " for them.",
    )
    build_ca: Path | None = Field(default=None, description="Authorities in PEM that the index's certificate is checked by.")
