"""The origin of the model in a bento model's directory, compared with the metadata of the store."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from passerelle.errors import DamagedFileError
from passerelle.names import LINEAGE_FILE, PREFIX, RUN_ID_LENGTH_IN_TAG
from passerelle.regular_file import MOST_MODEL_BYTES, read_json_file, read_regular_file

_HINT = "bentoml models delete; passerelle import; passerelle build"
_NEEDED = ("version", "run_id", "artifact_digest")
_VERSION_OF_A_TAG = re.compile(rf"\d+-[0-9a-z]{{{RUN_ID_LENGTH_IN_TAG}}}")


def read_lineage(folder: Path) -> dict[str, Any]:
    """Return the lineage of a bento model's directory.

    No digest covers it, but import told the store the same: the directory is named after version and run, and model.yaml holds all of it.

    Raises:
        IntegrityError: It cannot be read, or says something else than the directory's name or model.yaml, where there are these.
    """
    try:
        lineage = read_json_file(folder / LINEAGE_FILE, MOST_MODEL_BYTES)
        version, run_id, _ = (str(lineage[name]) for name in _NEEDED)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedFileError(f"{folder.name} is not a bento model of passerelle", hint=_HINT) from error
    if _VERSION_OF_A_TAG.fullmatch(folder.name) and folder.name != f"{version}-{run_id[:RUN_ID_LENGTH_IN_TAG].lower()}":
        raise DamagedFileError(f"lineage.json says version {version} of another run in the bento model {folder.name}", hint=_HINT)
    differs = _first_difference(lineage, _said_by_the_store(folder))
    if differs is not None:
        raise DamagedFileError(f"lineage.json and model.yaml of {folder.name} differ in '{differs}'", hint=_HINT)
    return dict(lineage)


def _said_by_the_store(folder: Path) -> Mapping[str, object]:
    path = folder / "model.yaml"
    if not os.path.lexists(path):
        return {}
    try:
        content = yaml.safe_load(read_regular_file(path, MOST_MODEL_BYTES))
        labels = {key.removeprefix(PREFIX): value for key, value in dict(content.get("labels") or {}).items() if key.startswith(PREFIX)}
        return {**labels, **dict(content.get("metadata") or {})}
    except (OSError, yaml.YAMLError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedFileError(f"{path} cannot be read", hint=_HINT) from error


def _first_difference(lineage: Mapping[str, object], stated: Mapping[str, object]) -> str | None:
    """Return the first name that the store knows with another value, or that only one of them knows."""
    for name, value in stated.items():
        if name not in lineage or _plain(lineage[name]) != _plain(value):
            return str(name)
    # A directory that some other tool wrote may have few labels and no metadata, or none at all.
    extra = lineage.keys() - stated.keys() if "signature" in stated else ()
    return min(extra, default=None)


def _plain(value: object) -> str:
    """Return a value as import tells it to BentoML: what is nested or null is JSON there."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
