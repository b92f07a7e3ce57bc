"""The content of an MLmodel file, in which MLflow says what a logged model is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from passerelle.errors import TRAIN_AGAIN, DamagedFileError
from passerelle.model.trust import UNREADABLE
from passerelle.regular_file import MOST_MODEL_BYTES, read_regular_file


def mlmodel_content(folder: Path, *, hint: str = TRAIN_AGAIN) -> dict[str, Any]:
    """Return the content of a model's MLmodel file; its flavors are a mapping, and so is its signature, if there is one.

    Args:
        folder: The model's directory.
        hint: Of the error.

    Raises:
        DamagedFileError: There is no such file, or it cannot be read.
    """
    try:
        content: dict[str, Any] = yaml.safe_load(read_regular_file(folder / "MLmodel", MOST_MODEL_BYTES))
        mappings = content["flavors"], content.get("signature") or {}
    except (yaml.YAMLError, *UNREADABLE) as error:
        raise DamagedFileError(f"{folder} holds no readable MLmodel file", hint=hint) from error
    if not all(isinstance(each, dict) for each in mappings):
        raise DamagedFileError(f"{folder} holds no readable MLmodel file", hint=hint)
    return content
