"""Read the model, then answer messages until the stream ends.

The first message says what is to be read; the answer, what it is. Each further message has records; each answer is an object, and one with
`error` says what failed and never holds a record.
"""

from __future__ import annotations

import os
import sys
import warnings

from passerelle.model.host.frames import read_message, write_message
from passerelle.model.host.readers import Recipe, read_model
from passerelle.model.host.tables import Tables
from passerelle.model.host.values import Foreign

_LONGEST_TEXT = 2_000


def main() -> None:
    """Answer the messages that arrive on standard input, on what was standard output when the process began."""
    answers = os.fdopen(os.dup(1), "wb")
    # What the model prints goes to standard error: it must not come between two answers.
    os.dup2(2, 1)
    messages = sys.stdin.buffer
    message = read_message(messages)

    def trusts(types: list[str]) -> bool:
        write_message(answers, {"types": types})
        return bool((read_message(messages) or {}).get("trusted"))

    try:
        model = read_model(Recipe(message, trusts))
        tables = Tables(message["inputs"], message["form"])
    except BaseException as error:  # noqa: BLE001 - whatever a model's own code raises, SystemExit too
        write_message(answers, {"error": "load", **_failure(error)})
        return
    write_message(answers, {"classes": model.classes, "task": model.task})
    # From here on it might print a record.
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    warnings.simplefilter("ignore")
    while (message := read_message(messages)) is not None:
        write_message(answers, _answer(model, tables, message))


def _answer(model: Foreign, tables: Tables, message: dict[str, Foreign]) -> dict[str, object]:
    try:
        values, probabilities = model.predict(tables.table(message["records"]), message.get("params") or {})
    except Exception as error:  # noqa: BLE001 - as above; the text of the error may hold a record
        return {"error": "memory" if isinstance(error, MemoryError) else "predict", "type": type(error).__name__}
    return {"values": values, "probabilities": probabilities, "task": model.task, "classes": model.classes}


def _failure(error: BaseException) -> dict[str, object]:
    """Return what is told of a failed reading: its type, its text, and the module that is missing, if one is."""
    missing: BaseException | None = error
    while missing is not None and not (isinstance(missing, ModuleNotFoundError) and missing.name):
        missing = missing.__cause__ or missing.__context__
    text = str(error)[:_LONGEST_TEXT]
    return {"type": type(error).__name__, "message": text, "module": getattr(missing, "name", None)}
