"""A bento model as one sequence of bytes, for machines that do not have its folder."""

from __future__ import annotations

import hashlib
import io
import tarfile
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from passerelle.batch.processes import ScoringRecipe
from passerelle.batch.scored_split import Scoring
from passerelle.errors import DigestError
from passerelle.settings import SigningSettings


@dataclass(frozen=True)
class ModelContent:
    """An uncompressed tar of a bento model's folder.

    Attributes:
        digest: SHA-256 of the content, as hexadecimal digits.
    """

    content: bytes
    digest: str


def content_of(folder: Path) -> ModelContent:
    """Return the files of a folder: the same bytes for the same files, with neither owners nor times."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(each for each in folder.rglob("*") if each.is_file()):
            entry = tarfile.TarInfo(path.relative_to(folder).as_posix())
            content = path.read_bytes()
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    found = packed.getvalue()
    return ModelContent(found, hashlib.sha256(found).hexdigest())


def scoring_of(content: bytes, digest: str, recipe: ScoringRecipe) -> tuple[Scoring, tempfile.TemporaryDirectory[str]]:
    """Return what rows are scored by, and the folder that must stay as long as it is used.

    Args:
        content: Of the model.
        digest: That the content must have.
        recipe: How the model is loaded; its folder is not read.

    Raises:
        DigestError: The content has another digest.
        IntegrityError: As `load_model`.
    """
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise DigestError(f"the model that arrived has the digest {found[:12]}, not {digest[:12]}", hint="passerelle import")
    folder = tempfile.TemporaryDirectory(prefix="passerelle-model-", ignore_cleanup_errors=True)
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
        archive.extractall(folder.name, filter="data")
    return replace(recipe, model_folder=Path(folder.name)).scoring(), folder


def verified(content: ModelContent, recipe: ScoringRecipe) -> tuple[Scoring, ScoringRecipe]:
    """Return the scoring here, and the recipe for machines that have no key: its signature is verified here, its digest there.

    Raises:
        IntegrityError: As `load_model`.
    """
    scoring, folder = scoring_of(content.content, content.digest, recipe)
    folder.cleanup()
    return scoring, replace(recipe, model_folder=Path(), signing=SigningSettings.model_construct(**_UNSIGNED))


_UNSIGNED = {name: field.default for name, field in SigningSettings.model_fields.items()}
