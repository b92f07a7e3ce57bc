"""Labels of an image: OCI's annotations, the lineage of the bento, and the digest of what the image is built from."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import bentoml

from passerelle.bentos.adopted_image import ImageRecipe, adoption_in, adoption_labels
from passerelle.bentos.context import digest_of
from passerelle.bentos.engine import ask, inspect
from passerelle.errors import OutsideError
from passerelle.names import (
    BENTO_TAG_LABEL,
    CODE_DIGEST,
    CODE_REVISION,
    INPUTS_DIGEST_LABEL,
    OCI_PREFIX,
    PREFIX,
    REGISTERED_MODEL_LABEL,
    BentoTag,
)

_PULL_TIMEOUT_S = 1_800.0

_CODE_HEX = 8


def default_image_name(bento: bentoml.Bento, *, slim: bool = False) -> str:
    """Return the name of a bento's image where none is given: its tag names the model version, its run, and the serving code.

    Images of one model version and of different code stand beside each other. Without a digest of the code, as after a plain
    `bentoml build`, the tag is the bento's.
    """
    code = str(bento.info.labels.get(CODE_DIGEST, "")).removeprefix("sha256:")[:_CODE_HEX]
    return f"passerelle/{bento.tag}{f'-{code}' if code else ''}{'-slim' if slim else ''}"


def image_labels(engine: str, folder: Path, bento: bentoml.Bento, tag: BentoTag, recipe: ImageRecipe) -> dict[str, str]:
    """Return OCI's annotations, the lineage, which the bento carries as labels, and the digest of what the image is made from."""
    options = recipe.options
    base_digest, *others = [_base_digest(engine, base, options.platform) for base in recipe.bases]
    # Variant, base and times count as inputs too, so that another image of this bento is not taken for this one.
    platform = "" if options.platform is None else f" {options.platform}"
    inputs = hashlib.sha256(
        f"{digest_of(folder)} {base_digest} {options.slim} {options.epoch}{platform}{''.join(others)}".encode()
    ).hexdigest()
    created = datetime.fromtimestamp(options.epoch, UTC) if options.epoch is not None else bento.info.creation_time
    lineage = {name: value for name, value in bento.info.labels.items() if name.startswith(PREFIX)}
    adoption = adoption_in(folder)
    answers = "Classifies" if adoption is None or adoption.task == "classification" else "Predicts for"
    return {
        OCI_PREFIX + "title": tag.name,
        OCI_PREFIX + "description": f"{answers} the records of {lineage.get(REGISTERED_MODEL_LABEL, tag.name)}",
        OCI_PREFIX + "version": tag.version,
        OCI_PREFIX + "revision": lineage.get(CODE_REVISION) or lineage.get(CODE_DIGEST, ""),
        OCI_PREFIX + "created": created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        OCI_PREFIX + "licenses": "Apache-2.0",
        OCI_PREFIX + "base.name": options.base,
        OCI_PREFIX + "base.digest": base_digest,
        BENTO_TAG_LABEL: str(tag),
        INPUTS_DIGEST_LABEL: f"sha256:{inputs}",
        **lineage,
        **(adoption_labels(adoption, folder) if adoption is not None else {}),
    }


def _base_digest(engine: str, base: str, platform: str | None) -> str:
    """Return the digest of the base by its registry, or by the engine if it came from no registry; pulls it if the engine does not hold it.

    Raises:
        OutsideError: It cannot be pulled.
    """
    image = inspect(engine, base)
    if image is None:
        platform_option = () if platform is None else ("--platform", platform)
        pulled = ask(engine, "pull", "--quiet", *platform_option, base, timeout_s=_PULL_TIMEOUT_S)
        image = inspect(engine, base) if pulled.returncode == 0 else None
        if image is None:
            reason = (pulled.stderr.strip().splitlines() or ["it is not there"])[-1]
            raise OutsideError(
                f"the base image {base} cannot be pulled: {reason}", hint=f"{engine} pull {base}\npasserelle containerize --base IMAGE"
            )
    of_registry = [name.rpartition("@")[2] for name in image.get("RepoDigests") or ()]
    return of_registry[0] if of_registry else str(image["Id"])
