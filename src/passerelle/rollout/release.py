"""What is rolled out: an image, and what the model inside is known to answer."""

from __future__ import annotations

from dataclasses import dataclass

from passerelle.model.golden import Golden
from passerelle.names import BentoTag


@dataclass(frozen=True)
class Release:
    """What is to be served: the image of a bento, and what its model answered at training.

    Attributes:
        artifact_digest: Of the model that the image must hold; empty where the store does not say.
    """

    bento_tag: BentoTag
    image: str
    golden: Golden
    model_version: str
    artifact_digest: str = ""
