"""Read the model, then answer messages until the stream ends.

The first message says what is to be read; the answer, what it is. Each further message has records; each answer is an object, and one with
`error` says what failed and never holds a record.
"""

from __future__ import annotations

import os
import sys
import threading
import warnings
from pathlib import Path

from passerelle.model.host.attempts import Attempts, end_with_parent
from passerelle.model.host.frames import read_message, write_message
from passerelle.model.host.quick import QuickWays
from passerelle.model.host.readers import Recipe, Trusts, read_model
from passerelle.model.host.sandbox import enter, limit
from passerelle.model.host.tables import Tables
from passerelle.model.host.values import Foreign

_LONGEST_TEXT = 2_000


def main(settings: dict[str, Foreign]) -> None:
    """Answer the messages that arrive on standard input, on what was standard output when the process began.

    Args:
        settings: `own`, the folder of the process; `readable`, the model's; `sandbox`, whether the kernel is asked for one; `memory_mib`.
    """
    answers = os.fdopen(os.dup(1), "wb")
    # What the model prints goes to standard error: it must not come between two answers.
    os.dup2(2, 1)
    messages = sys.stdin.buffer
    threading.Thread(target=end_with_parent(), daemon=True).start()
    limit(settings["memory_mib"])
    granted = enter(Path(settings["own"]), [Path(settings["readable"])]) if settings["sandbox"] else []
    attempts = Attempts(settings["own"])
    message = read_message(messages)

    def trusts(types: list[str]) -> bool:
        write_message(answers, {"types": types})
        return bool((read_message(messages) or {}).get("trusted"))

    try:
        answering = ReadModel(message, trusts)
    except BaseException as error:  # noqa: BLE001 - whatever a model's own code raises, SystemExit too
        write_message(answers, {"error": "load", "tried": attempts.seen, **_failure(error)})
        return
    if attempts.seen:
        write_message(answers, {"error": "load", "tried": attempts.seen})
        return
    write_message(answers, {**answering.description, "sandbox": granted})
    # From here on it might print a record.
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    warnings.simplefilter("ignore")
    while (message := read_message(messages)) is not None:
        write_message(answers, answering.answer(message))


class ReadModel:
    """A model that was read, and the tables that it takes.

    Args:
        message: The first, as `Recipe` and `Tables` take it.
        trusts: Asks whether types are trusted.
    """

    def __init__(self, message: dict[str, Foreign], trusts: Trusts) -> None:
        self._model = read_model(Recipe(message, trusts))
        self._ways = QuickWays(self._model, Tables(message["inputs"], message["form"]))
        self._described: dict[str, object] = {}

    @property
    def description(self) -> dict[str, object]:
        """What the model is."""
        return {"classes": self._model.classes, "task": self._model.task}

    def answer(self, message: dict[str, Foreign]) -> dict[str, object]:
        """Return the values of the message's records; `error` says what failed, without a record."""
        if "convert" in message:
            return self._converted(message)
        try:
            values, probabilities = self._ways.predict(message["records"], message.get("params") or {})
        except Exception as error:  # noqa: BLE001 - as above; the text of the error may hold a record
            return {"error": "memory" if isinstance(error, MemoryError) else "predict", "type": type(error).__name__}
        answer: dict[str, object] = {"values": values, "probabilities": probabilities}
        if self.description != self._described:
            # The task and the classes of some models are known once they have predicted.
            self._described = self.description
            answer.update(self._described)
        return answer

    def _converted(self, message: dict[str, Foreign]) -> dict[str, object]:
        """Save the model in another form in the folder of the process; return the file's name."""
        from passerelle.model.host.conversion import converted

        try:
            return {"file": converted(self._model, message["convert"], message["inputs"])}
        except Exception as error:  # noqa: BLE001 - as above; there is no record that the text could hold
            return {"error": "convert", **_failure(error)}


def _failure(error: BaseException) -> dict[str, object]:
    """Return what is told of a failed reading: its type, its text, and the module that is missing, if one is."""
    missing: BaseException | None = error
    while missing is not None and not (isinstance(missing, ModuleNotFoundError) and missing.name):
        missing = missing.__cause__ or missing.__context__
    text = str(error)[:_LONGEST_TEXT]
    return {"type": type(error).__name__, "message": text, "module": getattr(missing, "name", None)}
