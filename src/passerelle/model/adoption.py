"""What adoption recorded of a model that was not registered by passerelle: a file beside the model, which the artifact digest covers."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from passerelle.errors import DamagedFileError
from passerelle.regular_file import MOST_MODEL_BYTES, read_json_file

#: What a model does with a record.
Task = Literal["classification", "regression", "multilabel", "multioutput", "clustering", "other"]
#: How the model takes records: as a table of the columns, or the one text column as a list, a Series or an array.
InputForm = Literal["table", "list", "series", "array"]
#: Where the inputs of the golden predictions come from: the operator's file, the logged input example, or the signature.
GoldenOrigin = Literal["examples", "input_example", "signature"]

ADOPTION_FILE = "adoption.json"
#: The hash-locked requirements of the model's own environment, beside the record.
LOCK_FILE = "environment.txt"
_SCHEMA = 1


@dataclass(frozen=True)
class Adoption:
    """What was recorded.

    Attributes:
        source: The address of the model's files, as the version names it.
        original_run: The run that logged the model; empty where there is none, or it was deleted.
        flavor: The flavor of the MLmodel file that the model's own process reads it by.
        task: What the model does with a record.
        signature: The signature that holds, in MLflow's form: `inputs`, `outputs` and `params`, each a JSON text.
        input_form: How the model takes records.
        dropped_columns: Columns of the logged signature that no record has.
        labels: The name of each label, by the label as JSON; empty where labels are their own names.
        golden_origin: Where the inputs of the golden predictions come from.
        pickled: Whether reading the model runs code that lies in its files.
        python: Version of Python that the model's own environment has, such as `3.11`.
        libraries: Version of each library of that environment that decides about predictions, by name.
        converted_from: The version whose pickle this model was converted from, with that one's digest; empty for any other.
    """

    source: str
    original_run: str
    flavor: str
    task: Task
    signature: Mapping[str, str]
    golden_origin: GoldenOrigin
    python: str
    input_form: InputForm = "table"
    dropped_columns: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    pickled: bool = False
    libraries: Mapping[str, str] = field(default_factory=dict)
    converted_from: str = ""

    def canonical(self) -> str:
        """Return the content of the file: the same text for the same record."""
        content = {"schema": _SCHEMA, **asdict(self)}
        if not self.converted_from:
            del content["converted_from"]  # as records were written before there were conversions
        return json.dumps(content, ensure_ascii=False, sort_keys=True, indent=1) + "\n"

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Adoption:
        """Return the record that the file's content is.

        Raises:
            IntegrityError: It is no such record.
        """
        try:
            return _parsed(dict(content))
        except (ValueError, KeyError, TypeError) as error:
            raise _no_record() from error


def read_adoption(beside: Path) -> Adoption | None:
    """Return the record that lies beside a model's directory; None where the model was registered by passerelle.

    Args:
        beside: The folder that holds the model's directory.

    Raises:
        IntegrityError: The file cannot be read as a record.
    """
    path = beside / ADOPTION_FILE
    if not os.path.lexists(path):
        return None
    try:
        return _parsed(read_json_file(path, MOST_MODEL_BYTES))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _no_record() from error


def _no_record() -> DamagedFileError:
    return DamagedFileError(f"{ADOPTION_FILE} is not a record of an adoption", hint="passerelle adopt models:/NAME/VERSION")


def _parsed(content: dict[str, Any]) -> Adoption:
    if content.pop("schema") != _SCHEMA:
        raise ValueError("another schema")
    content["dropped_columns"] = tuple(content["dropped_columns"])
    adoption = Adoption(**content)
    for value, kind in ((adoption.task, Task), (adoption.input_form, InputForm), (adoption.golden_origin, GoldenOrigin)):
        if value not in get_args(kind):
            raise ValueError("an unknown word")
    return adoption
