"""The file of the criteria, read and checked: ``training/criteria.yaml``."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from passerelle.criteria import (
    Champion,
    Check,
    Criteria,
    Drift,
    HeldOut,
    HigherIsBetter,
    LowerIsBetter,
    PerClass,
    Ranking,
    Rollout,
    Waivable,
)
from passerelle.errors import UsageError


class _TwiceError(yaml.YAMLError):
    """A key is given twice in one block."""


class _EachKeyOnce(yaml.SafeLoader):
    """Refuses duplicate keys, of which the YAML loader would silently take the last."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Return the block's node after checking that no key is given twice."""
        node = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            line = key.start_mark.line + 1
            if key.value in lines:
                raise _TwiceError(f"{key.value} is given twice, in line {lines[key.value]} and in line {line}")
            lines[key.value] = line
        return node


def read_criteria(path: Path) -> Criteria:
    """Return the criteria of the file.

    Raises:
        UsageError: There is no such file, it is not YAML, or a key or value is not one of ours; names the key.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8-sig"), Loader=_EachKeyOnce)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise UsageError(f"the criteria {path} cannot be read: {error.strerror}", hint="ls training") from error
    except _TwiceError as error:
        raise UsageError(f"the criteria {path} are not usable: {error}", hint=f"git diff {path}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        line = str(error).replace("\n", " ")
        raise UsageError(f"the criteria {path} are not YAML: {line}", hint=f"git diff {path}") from error
    if not isinstance(content, dict):
        raise UsageError(f"the criteria {path} hold no keys; docs/02-compare.md shows an example", hint=f"git diff {path}")
    try:
        return Criteria.model_validate(content)
    except ValidationError as error:
        raise UsageError(
            f"the criteria {path} are not usable: {_first_problem(error)}; docs/02-compare.md lists the keys", hint=f"git diff {path}"
        ) from None


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
    sections = (Criteria, Ranking, PerClass, HeldOut, Champion, Waivable, Rollout, Drift)
    literals: tuple[Any, ...] = (HigherIsBetter, LowerIsBetter, Check)
    return {name for section in sections for name in section.model_fields} | {name for each in literals for name in each.__args__}
