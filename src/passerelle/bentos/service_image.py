"""The image that service.py declares: whoever builds the bento, passerelle's serving code enters it.

It is part of the bento, since service.py imports it; what it does, it does only while a bento is built.
"""

from __future__ import annotations

from pathlib import Path

import bentoml

from passerelle.bentos.code import add_package


class ServiceImage(bentoml.images.Image):  # type: ignore[misc]
    """BentoML's `Image`, whose bento also gets passerelle's serving code where the project holds none of its own."""

    def freeze(self, bento_fs: Path, envs: object, platform_: str | None = None) -> object:
        """Add the code, then write what BentoML writes of an image.

        BentoML calls this once the project's files are in the bento, from `bentoml build` and from `bentoml.build` alike.

        Args:
            bento_fs: The bento that is being built.
            envs: As BentoML gives them.
            platform_: As BentoML gives it.
        """
        add_package(bento_fs / "src")
        return super().freeze(bento_fs, envs, platform_)
