"""Whether the ledgers of a backup are whole: their objects, chains and heads. What MLflow knows of them is in the database's dump."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from urllib.parse import unquote

from passerelle.registry.chain import examine
from passerelle.registry.ledger import HEAD_NAME, Stored, folder_of

LEDGER = "ledger/"
_ENTRY = re.compile(r"[0-9]{6,}\.jsonl")
_LOOK = re.compile(r"looks/[^/]+/[0-9]{6}\.json")


def broken_ledgers(objects: Mapping[str, bytes]) -> tuple[str, ...]:
    """Return a sentence for each ledger that is not whole, naming the first entry that is wrong.

    Args:
        objects: Name and content of what lies below `ledger/`.
    """
    by_model: dict[str, dict[str, bytes]] = defaultdict(dict)
    for key in sorted(objects):
        folder, _, name = key.removeprefix(LEDGER).partition("/")
        if "/" not in name:
            by_model[unquote(folder)][key] = objects[key]
    return tuple(sentence for model, of_model in by_model.items() for sentence in _broken(model, of_model))


def is_locked(key: str) -> bool:
    """Return whether an object of this name is an entry of a ledger or a look: they are locked where the bucket has object lock."""
    folder, slash, name = key.removeprefix(LEDGER).partition("/")
    return key.startswith(LEDGER) and bool(folder and slash) and bool(_ENTRY.fullmatch(name) or _LOOK.fullmatch(name))


def _broken(model: str, objects: Mapping[str, bytes]) -> list[str]:
    folder = folder_of(model)
    lines = tuple((key, content) for key, content in objects.items() if _ENTRY.fullmatch(key.removeprefix(folder)))
    faults = examine(model, Stored(lines, objects.get(folder + HEAD_NAME), None), None).faults
    return [f"the ledger of '{model}' is broken at entry {each.number}: {each.problem}" for each in faults[:1]]
