"""The names that travel between the stages, and the conversions between them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from passerelle.errors import UsageError

#: On a version that was registered with a key: a signature that is missing afterwards was deleted.
SIGNED = "passerelle.signed"
#: Parameters of a run, which MLflow lets nobody change, hold the digest of what training left there: this, and the file's path.
DIGEST_PARAM = "digest."
#: In the place of a path, all files of the model as they were logged.
LOGGED_MODEL = "model"

#: The bento model tag and the bento tag carry the run id's first characters.
RUN_ID_LENGTH_IN_TAG = 8

_BENTO_NAME = re.compile(r"^[a-z0-9]([-._a-z0-9]*[a-z0-9])?$")


@dataclass(frozen=True, order=True)
class Alias:
    """An alias of a registered model, such as ``production``; case-sensitive in MLflow."""

    name: str

    def __str__(self) -> str:
        return self.name


PRODUCTION = Alias("production")
PREVIOUS = Alias("previous")


@dataclass(frozen=True, order=True)
class BentoTag:
    """``name:version`` of a bento or of a bento model; lower case, without ``/`` and ``+``."""

    name: str
    version: str

    @classmethod
    def parse(cls, text: str) -> BentoTag:
        """Return the tag written as ``name:version``.

        Raises:
            UsageError: The text has no version or a character that BentoML refuses.
        """
        name, colon, version = text.partition(":")
        if not colon or not _BENTO_NAME.match(name) or not _BENTO_NAME.match(version):
            raise UsageError(
                f"« {text} » is not a bento tag: name:version, lower case",
                hint="bentoml models list; bentoml list",
            )
        return cls(name, version)

    def __str__(self) -> str:
        return f"{self.name}:{self.version}"


@dataclass(frozen=True, order=True)
class ModelVersionRef:
    """One version of a registered model, and the run that made it."""

    registered_model: str
    version: int
    run_id: str

    @property
    def uri(self) -> str:
        """The address by which MLflow loads exactly this version."""
        return f"models:/{self.registered_model}/{self.version}"

    @property
    def bento_model_tag(self) -> BentoTag:
        """``<registered model>:<version>-<first 8 of the run id>``, the same each time."""
        name = bento_name(self.registered_model)
        return BentoTag(name, f"{self.version}-{self.run_id[:RUN_ID_LENGTH_IN_TAG].lower()}")

    def __str__(self) -> str:
        return f"{self.registered_model} version {self.version}"


@dataclass(frozen=True)
class ImageRef:
    """An OCI image: its name with a tag, and its digest once it is built."""

    repository: str
    image_tag: str
    digest: str | None = None

    def __str__(self) -> str:
        return f"{self.repository}:{self.image_tag}"


def bento_name(registered_model: str) -> str:
    """Return the registered model's name in the characters that BentoML takes.

    Raises:
        UsageError: Nothing of the name is left.
    """
    name = re.sub(r"[^a-z0-9._-]+", "-", registered_model.lower()).strip("-._")
    if not name:
        raise UsageError(f"the registered model « {registered_model} » has no letter or digit that a bento's name may hold")
    return name
