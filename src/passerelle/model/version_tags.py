"""The tags of a model version: a few that people filter by, and one that holds all else as JSON, so that MLflow's page stays readable.

Versions that were registered before had a tag for each; those are read too, and a tag of its own counts before the record.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from passerelle.names import CANDIDATE, DESCRIPTION_DIGEST, LANGUAGE, LEDGER_PREFIX, PREFIX, TASK, VERDICT, VERSION_RECORD

#: What people filter versions by.
FILTERS = frozenset({CANDIDATE, LANGUAGE, TASK, VERDICT})


def has_own_tag(name: str) -> bool:
    """Return whether the tag stays one of its own: those that people filter by, those of the ledger, and those of others."""
    return name in FILTERS or not name.startswith(PREFIX) or name.startswith(LEDGER_PREFIX) or name == VERSION_RECORD


def record_of(stored: Mapping[str, str]) -> dict[str, str]:
    """Return what the record among a version's tags holds, by full names; nothing where it is no such record."""
    try:
        found = json.loads(stored.get(VERSION_RECORD, "{}"))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    names = {f"{PREFIX}{name}": value for name, value in found.items() if isinstance(value, str)}
    return {name: value for name, value in names.items() if not has_own_tag(name)}


def unpacked(stored: Mapping[str, str]) -> dict[str, str]:
    """Return the tags of a version by their names, whether each is a tag of its own or part of the record."""
    record = record_of(stored)
    record.pop(DESCRIPTION_DIGEST, None)
    return {**record, **{name: value for name, value in stored.items() if name != VERSION_RECORD}}


def packed(tags: Mapping[str, str], stored: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what to store for these tags, the record last: one change makes all that it holds visible.

    Args:
        stored: Tags that the version has; a tag of its own there stays one.
    """
    stored = stored or {}
    own = {name: value for name, value in tags.items() if has_own_tag(name) or name in stored}
    record = {name: value for name, value in tags.items() if name not in own}
    return {**own, **_as_tag({**record_of(stored), **record})} if record else own


def without(name: str, stored: Mapping[str, str]) -> dict[str, str]:
    """Return the record to store once this name is deleted from it; nothing where the record does not hold it."""
    record = record_of(stored)
    return _as_tag({key: value for key, value in record.items() if key != name}) if name in record else {}


def _as_tag(record: Mapping[str, str]) -> dict[str, str]:
    short = {name.removeprefix(PREFIX): value for name, value in sorted(record.items())}
    return {VERSION_RECORD: json.dumps(short, ensure_ascii=False, separators=(",", ":"))}
