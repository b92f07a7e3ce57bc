"""Read the model, then answer messages until the stream ends.

Each message is an object with `do`: `describe` or `predict`. Each answer is an object; one with `error` says what failed, and never
holds a record.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from passerelle.model.host.frames import read_message, write_message
from passerelle.model.host.readers import read_model
from passerelle.model.host.tables import table_of


def main(folder: str) -> None:
    """Answer the messages that arrive on standard input, on what was standard output when the process began."""
    answers = os.fdopen(os.dup(1), "wb")
    # What the model prints goes to standard error: it must not come between two answers.
    os.dup2(2, 1)
    messages = sys.stdin.buffer
    record = json.loads((Path(folder) / "adoption.json").read_text(encoding="utf-8"))
    try:
        model = read_model(Path(folder) / "mlflow_model", record["flavor"])
    except Exception as error:  # noqa: BLE001 - whatever a model's own code raises
        write_message(answers, {"error": "load", "type": type(error).__name__, "message": str(error)[:2_000]})
        return
    write_message(answers, {"classes": model.classes, "task": model.task})
    while (message := read_message(messages)) is not None:
        write_message(answers, _answer(model, record, message))


def _answer(model: Any, record: dict[str, Any], message: dict[str, Any]) -> dict[str, Any]:
    try:
        outputs, probabilities = model.predict(table_of(message["records"], record), message.get("params") or {})
    except Exception as error:  # noqa: BLE001 - as above; the text of the error may hold a record
        return {"error": "predict", "type": type(error).__name__}
    return {"outputs": outputs, "probabilities": probabilities}
