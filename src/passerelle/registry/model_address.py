"""The address of a model as a person types it, in MLflow's own forms."""

from __future__ import annotations

import re
from dataclasses import dataclass

from passerelle.errors import UsageError

_LOGGED_MODEL = re.compile(r"m-[0-9a-f]{32}")
_FORMS = "models:/NAME/VERSION, models:/NAME@ALIAS, runs:/RUN_ID or runs:/RUN_ID/PATH"


@dataclass(frozen=True)
class ModelAddress:
    """What an address names: a version of a registered model, or a model that a run logged.

    Attributes:
        registered_model: Empty for a model that a run logged.
        version: Its number; None where an alias or a stage names it.
        alias: Empty where there is none.
        stage: Likewise.
        run_id: Of the run that logged the model.
        path: Name or path of the model in that run; empty for the only one.
        model_id: Id of the logged model, of MLflow 3.
    """

    text: str
    registered_model: str = ""
    version: int | None = None
    alias: str = ""
    stage: str = ""
    run_id: str = ""
    path: str = ""
    model_id: str = ""


def parse_address(text: str) -> ModelAddress:
    """Return what the address names.

    Raises:
        UsageError: It is of none of the forms.
    """
    scheme, _, rest = text.partition(":/")
    first, slash, second = rest.strip("/").partition("/")
    if scheme == "runs" and first:
        return ModelAddress(text, run_id=first, path=second)
    if scheme == "models" and not slash and _LOGGED_MODEL.fullmatch(first):
        return ModelAddress(text, model_id=first)
    if scheme == "models" and first and second:
        return ModelAddress(text, first, int(second)) if second.isdecimal() else ModelAddress(text, first, stage=second)
    name, at, alias = first.rpartition("@")
    if scheme == "models" and name and at and alias:
        return ModelAddress(text, name, alias=alias)
    raise UsageError(f"'{text}' is not the address of a model: {_FORMS}", hint="passerelle adopt models:/NAME/VERSION")
