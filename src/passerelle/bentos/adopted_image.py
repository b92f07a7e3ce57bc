"""What the image of an adopted model has besides that of any other: a second environment, and labels that say what the model is."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from passerelle.bentos.image_options import BASE, ImageOptions
from passerelle.errors import UsageError
from passerelle.model.adoption import LOCK_FILE, Adoption, read_adoption
from passerelle.names import FLAVOR, GOLDEN_ORIGIN, MODEL_REQUIREMENTS, PICKLED, TASK

#: Where the image has the model's own interpreter.
MODEL_PYTHON = "/opt/model/bin/python"
_TOOLS = resources.files("passerelle.bentos") / "image" / "adopted"
_TOOL = "model_environment.py"
_LISTED = "FROM service AS listed\n"
#: The Python of the service's base image.
_PYTHON_OF_BASE = re.search(r"(\d+\.\d+)", BASE)
_REQUIREMENTS = "model-requirements.txt"


@dataclass(frozen=True)
class ImageRecipe:
    """What the engine is told to build.

    Attributes:
        options: How the image is to be made.
        bare: The stage of the image without its bill of materials.
        listed: The stage with it.
        arguments: Of the build, by name.
        pythons: The commands of the interpreters whose packages are listed.
        bases: The images that it starts from.
    """

    options: ImageOptions
    bare: str
    listed: str
    arguments: Mapping[str, str]
    pythons: Sequence[Sequence[str]]
    bases: tuple[str, ...]


def recipe_of(adoption: Adoption | None, options: ImageOptions) -> ImageRecipe:
    """Return what to build for a model, adopted or not.

    Raises:
        UsageError: The slim image is asked for, and the model needs another Python than the service.
    """
    arguments = {"BASE": options.base, "VARIANT": "slim" if options.slim else "whole"}
    if adoption is None:
        return ImageRecipe(options, "service", "listed", arguments, (("python3",),), (options.base,))
    same = _PYTHON_OF_BASE is not None and adoption.python == _PYTHON_OF_BASE[1]
    if options.slim and not same:
        raise UsageError(
            f"the model needs Python {adoption.python}, and the service has another: the slim image holds one Python alone",
            hint="passerelle containerize",
        )
    base = options.base if same else f"python:{adoption.python}-slim"
    arguments |= {"MODEL_BASE": base, "MODEL_PYTHON": f"{adoption.python} {'same' if same else 'own'}"}
    pythons = (("python3",), (MODEL_PYTHON, "-I"))
    return ImageRecipe(options, "adopted", "listed", arguments, pythons, tuple(dict.fromkeys((options.base, base))))


def adoption_in(folder: Path) -> Adoption | None:
    """Return the record of the adopted model in a build context; None where the model was registered by passerelle."""
    return next((found for place in sorted(folder.glob("models/*/*/")) if (found := read_adoption(place)) is not None), None)


def add_model_environment(folder: Path, beside: Path, dockerfile: str) -> None:
    """Write into a build context what the model's own environment is made of.

    Args:
        folder: The context.
        beside: The folder that holds the record of the adoption and the locked requirements.
        dockerfile: Of any other image, whose stages come first.
    """
    (folder / _REQUIREMENTS).write_bytes((beside / LOCK_FILE).read_bytes())
    (folder / "tools" / _TOOL).write_bytes((_TOOLS / _TOOL).read_bytes())
    stages = (_TOOLS / "Dockerfile").read_text(encoding="utf-8")
    # Arguments that a FROM refers to are declared before the first stage.
    # Docker's former builder makes every stage up to the one that is asked for: the one with the bill of materials stays the last.
    service, _, listed = dockerfile.partition(_LISTED)
    content = f"ARG MODEL_BASE={BASE}\n{service}\n{stages}\nFROM adopted AS listed\n{listed}"
    (folder / "Dockerfile").write_text(content, encoding="utf-8")


def adoption_labels(adoption: Adoption, folder: Path) -> dict[str, str]:
    """Return the labels of an adopted model's image: what it is, and what stands behind its golden predictions."""
    digest = hashlib.sha256((folder / _REQUIREMENTS).read_bytes()).hexdigest()
    return {
        FLAVOR: adoption.flavor,
        TASK: adoption.task,
        GOLDEN_ORIGIN: adoption.golden_origin,
        PICKLED: str(adoption.pickled).lower(),
        MODEL_REQUIREMENTS: f"sha256:{digest}",
    }
