"""The command that asks a new service its first question."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from passerelle.bentos.store import Store
from passerelle.model.mlmodel import describe
from passerelle.names import CLASSIFY, MODEL_FOLDER, PREDICT, BentoTag
from passerelle.settings import StoreSettings


def first_request(store: StoreSettings, bento_tag: BentoTag, address: str, *, keys: Path) -> str:
    """Return a command that sends a record with the fields of the model's signature; its values are examples, and none of the data's.

    Args:
        address: Of the service.
        keys: File of its keys; where it is there, the command sends the one in PASSERELLE_API_KEY.

    Raises:
        NotFoundError: The bento's model is gone from the store.
    """
    model = describe(Path(Store(store).model_of(bento_tag).path) / MODEL_FOLDER, scorer_alone=True)
    record = json.dumps({column.name: column.example for column in model.columns}, ensure_ascii=False)
    path = CLASSIFY if model.task == "classification" else PREDICT
    key = ' --header "Authorization: Bearer $PASSERELLE_API_KEY"' if keys.is_file() else ""
    return f"curl {address}{path}{key} --json {shlex.quote(record)}"
