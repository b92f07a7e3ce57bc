"""The file of the criteria, read and checked: ``training/criteria.yaml``."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from passerelle.criteria import (
    Behaviour,
    Champion,
    Check,
    Criteria,
    Drift,
    HeldOut,
    HigherIsBetter,
    LowerIsBetter,
    PerClass,
    Ranking,
    Reference,
    Rollout,
    Waivable,
)
from passerelle.errors import UsageError, shell_word
from passerelle.yaml_text import YamlFault, read_yaml


def read_criteria(path: Path) -> Criteria:
    """Return the criteria of the file.

    Raises:
        UsageError: There is no such file, it is not YAML, or a key or value is not one of ours; names the key.
    """
    try:
        content = read_yaml(path)
    except OSError as error:
        raise UsageError(f"the criteria {path} cannot be read: {error.strerror}", hint="ls training") from error
    except YamlFault as error:
        raise UsageError(f"the criteria {path} are not usable: {error}", hint=f"git diff {shell_word(path)}") from None
    if not isinstance(content, dict) or not content:
        raise UsageError(f"the criteria {path} hold no keys; docs/02-compare.md shows an example", hint=f"git diff {shell_word(path)}")
    try:
        # Strictly: true is no number, and '20' none either.
        return Criteria.model_validate(_lists_as_tuples(content), strict=True)
    except ValidationError as error:
        raise UsageError(
            f"the criteria {path} are not usable: {_first_problem(error)}; docs/02-compare.md lists the keys",
            hint=f"git diff {shell_word(path)}",
        ) from None


def _lists_as_tuples(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _lists_as_tuples(value) for key, value in content.items()}
    return tuple(map(_lists_as_tuples, content)) if isinstance(content, list) else content


def schema() -> str:
    """Return the JSON Schema of the criteria, for editors."""
    return json.dumps(Criteria.model_json_schema(), ensure_ascii=False, indent=1) + "\n"


def _first_problem(error: ValidationError) -> str:
    first: Any = error.errors(include_url=False)[0]
    where = [str(part) for part in first["loc"] if part != "[key]"]
    key = ".".join(where)
    message = "unknown key" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
    close: list[str] = []
    if first["type"] == "literal_error" and isinstance(first["input"], str):
        close = difflib.get_close_matches(first["input"], _names(), n=1)
    elif first["type"] == "extra_forbidden":
        close = difflib.get_close_matches(where[-1], _names(), n=1)
    return (f"{key}: {message}" if key else message) + (f" (did you mean {close[0]}?)" if close else "")


def _names() -> set[str]:
    """Return all that a key or a value may be called."""
    sections = (Criteria, Ranking, PerClass, HeldOut, Reference, Behaviour, Champion, Waivable, Rollout, Drift)
    literals: tuple[Any, ...] = (HigherIsBetter, LowerIsBetter, Check)
    return {name for section in sections for name in section.model_fields} | {name for each in literals for name in each.__args__}
