"""The signature that an adopted model is served by: what was logged, and what options add to it or take away."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from passerelle.errors import UsageError, shell_word
from passerelle.model.record import columns_of
from passerelle.stages.adopt_options import AdoptOptions, read_signature_file

#: What people call the column that a classifier is to find.
_LIKE_A_LABEL = {"class", "classe", "etiquette", "étiquette", "label", "labels", "outcome", "target", "y", "y_true"}


@dataclass(frozen=True)
class ServedSignature:
    """A signature with named columns.

    Attributes:
        parts: In MLflow's form: `inputs`, `outputs` and `params`, each a JSON text.
        dropped: Columns of the logged signature that are left out.
        warnings: What somebody should look at.
    """

    parts: Mapping[str, str]
    dropped: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def columns(self) -> list[dict[str, Any]]:
        """Its columns as MLflow writes them."""
        return list(json.loads(self.parts["inputs"]))

    @property
    def text_column(self) -> str | None:
        """The name of its one column, where that is a text; None otherwise."""
        columns = self.columns
        return str(columns[0]["name"]) if len(columns) == 1 and columns[0]["type"] == "string" else None


def served_signature(logged: Mapping[str, Any] | None, options: AdoptOptions, *, address: str) -> ServedSignature:
    """Return the signature that holds.

    Args:
        logged: The signature of the MLmodel file; None where it has none.
        address: Of the model, for hints.

    Raises:
        UsageError: It has no named columns and no option names them, or a column is of a type that no record can hold.
    """
    parts = _parts(logged, options, address)
    columns = _columns(parts, address)
    names = [column["name"] for column in columns]
    unknown = next((name for name in options.drop_columns if name not in names), None)
    if unknown is not None:
        raise UsageError(
            f"--drop-column names '{unknown}', and the signature has {', '.join(names)}", hint=f"passerelle adopt {shell_word(address)}"
        )
    kept = [column for column in columns if column["name"] not in options.drop_columns]
    parts = {**parts, "inputs": json.dumps(kept, ensure_ascii=False)}
    columns_of(dict(parts))
    return ServedSignature(parts, tuple(sorted(options.drop_columns)), tuple(_warnings(kept, address)))


def _parts(logged: Mapping[str, Any] | None, options: AdoptOptions, address: str) -> dict[str, str]:
    if options.signature is not None:
        return read_signature_file(options.signature)
    parts = {name: str(text) for name, text in (logged or {}).items() if text}
    if options.text_column is not None:
        if (names := _names(parts)) and names != [options.text_column]:
            message = f"--text-column is for a model without named columns, and this one has {', '.join(names)}"
            raise UsageError(message, hint=f"passerelle adopt {shell_word(address)}")
        return {**parts, "inputs": json.dumps([{"type": "string", "name": options.text_column, "required": True}], ensure_ascii=False)}
    if not _names(parts):
        found = "its signature names no columns" if "inputs" in parts else "it has no signature"
        hint = f"passerelle adopt {shell_word(address)} --text-column text\npasserelle adopt {shell_word(address)} --signature FILE"
        raise UsageError(f"the model does not say which columns a record has: {found}", hint=hint)
    return parts


def _names(parts: Mapping[str, str]) -> list[str]:
    """Return the names of the columns; none of a signature without names."""
    try:
        return [str(entry["name"]) for entry in json.loads(parts["inputs"]) if entry["type"] != "tensor"]
    except (KeyError, TypeError, ValueError):
        return []


def _columns(parts: Mapping[str, str], address: str) -> list[dict[str, Any]]:
    try:
        columns = [dict(entry) for entry in json.loads(parts["inputs"])]
        names = [str(column["name"]) for column in columns if column["type"]]
    except (KeyError, TypeError, ValueError) as error:
        hint = f"passerelle adopt {shell_word(address)} --signature FILE"
        raise UsageError("the signature has a column without a name or a type", hint=hint) from error
    if len(set(names)) < len(names):
        raise UsageError("the signature names a column twice", hint=f"passerelle adopt {shell_word(address)} --signature FILE")
    return columns


def _warnings(columns: list[dict[str, Any]], address: str) -> Iterator[str]:
    for column in columns:
        name = str(column["name"])
        if name.casefold() in _LIKE_A_LABEL:
            way_out = f"passerelle adopt {address} --drop-column {name}"
            yield f"the column '{name}' is named like a label, which no record has when it is to be predicted; leave it out: {way_out}"
