"""How an image is to be made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

#: Its digest is recorded in each image; name one by digest with `--base` to pin it.
BASE = "python:3.11-slim"


@dataclass(frozen=True)
class ImageOptions:
    """How an image is to be made.

    Attributes:
        image_name: `repository:tag`; by default passerelle/<bento tag>-<first eight characters of the code's digest>.
        slim: Python and the packages without Debian around them: no shell.
        base: What it starts from, and what the slim one takes Python from.
        with_pipeline: Install scikit-learn for a compiled model too: its pipeline decides then where two labels are within rounding.
        wheels: Folder that packages are installed from, without a network.
        cached: Whether the engine's cache is used; without it everything is built again.
        epoch: Seconds since 1970 that all times in the image are set to, so that the same inputs give the same digest.
        platform: `linux/amd64` or `linux/arm64`; by default this machine's.
        secrets: Files for the installation of packages alone, by the names that they have in the build; no layer holds them.
    """

    image_name: str | None = None
    slim: bool = False
    with_pipeline: bool = False
    base: str = BASE
    wheels: Path | None = None
    cached: bool = True
    epoch: int | None = None
    platform: str | None = None
    secrets: Mapping[str, Path] = field(default_factory=dict)
