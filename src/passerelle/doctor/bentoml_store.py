"""The BentoML store: what it holds, and which entry of it cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from passerelle.count_of import count_of
from passerelle.doctor.diagnosis import Diagnosis, Health, Surroundings, fine, not_used
from passerelle.errors import shell_word
from passerelle.regular_file import read_regular_file

NAME = "BentoML store"
_FILES = {"models": "model.yaml", "bentos": "bento.yaml"}


def probe(here: Surroundings) -> Iterator[Diagnosis]:
    """Say how many models and bentos the store holds, and which of them cannot be read."""
    home = here.store.bentoml_home
    entries = {kind: _entries(home / kind) if home is not None else [] for kind in _FILES}
    if home is None or not any(entries.values()):
        yield not_used(NAME, f"nothing was imported into {home} yet")
        return
    broken = [(kind, path) for kind, paths in entries.items() for path in paths if not _reads(path / _FILES[kind])]
    for kind, path in broken:
        message = f"the {kind.removesuffix('s')} {path.parent.name}:{path.name} has no {_FILES[kind]} that can be read"
        hint = f"rm -r {shell_word(path)}; passerelle import" if kind == "models" else f"rm -r {shell_word(path)}; passerelle build"
        yield Diagnosis(NAME, Health.FAULT, message, hint=hint)
    if not broken:
        yield fine(NAME, f"{count_of(len(entries['models']), 'model')} and {count_of(len(entries['bentos']), 'bento')} in {home}")


def _entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*/*") if path.is_dir())


def _reads(path: Path) -> bool:
    try:
        return isinstance(yaml.safe_load(read_regular_file(path)), dict)
    except (OSError, ValueError, yaml.YAMLError):
        return False
