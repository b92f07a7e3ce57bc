"""The client of the process that holds an adopted model, which runs in the model's own environment."""

from __future__ import annotations

import contextlib
import json
import threading
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from passerelle.errors import DamagedFileError, GoldenError, IntegrityError, ModelEndedError, OutsideError, UntrustedTypeError
from passerelle.model.adoption import Adoption, read_adoption
from passerelle.model.answer import ScoredRow
from passerelle.model.environment import interpreter
from passerelle.model.flavors.logged import LoggedFlavor, logged_flavor
from passerelle.model.golden import Predict
from passerelle.model.host_process import HostProcess
from passerelle.model.trust import refuse_adopted_pickle, trusted
from passerelle.names import MODEL_FOLDER
from passerelle.settings import LoadingSettings

#: Packages whose classes the process may read from skops files, besides the operator's: those of the flavors with a reader.
_LIBRARIES = "lightgbm,xgboost,catboost"
_WHOLE_SANDBOX = frozenset({"files", "network"})
#: Failures in a row after which the process is not restarted.
_MOST_FAILURES = 2


@dataclass(frozen=True)
class Outputs:
    """What the model gave for some records.

    Attributes:
        values: For each record, by the model's task: a label, a number, the labels that a multi-label model gives, or an object of
            named outputs; NaN and infinities as `model/host/values.py` encodes them.
        probabilities: For each record, those of the classes; None for a model without probabilities.
    """

    values: Sequence[Any]
    probabilities: Sequence[Sequence[float]] | None


def open_hosted(folder: Path, *, signed: bool, settings: LoadingSettings | None = None) -> HostedModel:
    """Return the adopted model of a folder in a process of its own, in the environment that was made for it.

    Args:
        folder: Holds the model's directory, the record of its adoption and its locked requirements.
        signed: Whether a signature by a key of the operator's was verified.
        settings: By default what the environment says.

    Raises:
        NotFoundError: The environment was not made on this machine.
        IntegrityError: There is no record of an adoption, the operator does not allow such a pickle, or as `HostedModel`.
        OutsideError: As `HostedModel`.
    """
    settings = settings or LoadingSettings.read()
    adoption = read_adoption(folder)
    if adoption is None:
        raise DamagedFileError(f"{folder.name} holds no record of an adoption", hint="passerelle adopt models:/NAME/VERSION")
    # The record's word is not enough: an unsigned one could say of a pickle that it is none.
    if adoption.pickled or logged_flavor(folder / MODEL_FOLDER, name=adoption.flavor).pickled:
        refuse_adopted_pickle(settings, signed=signed)
    return HostedModel(folder, adoption, python=interpreter(folder, settings), settings=settings)


class HostedModel:
    """One adopted model in a process of its own.

    A process that ends or takes too long is restarted, once; if it fails again before it has answered, every further call fails.

    Args:
        folder: Holds the model's directory and the record of its adoption.
        adoption: That record.
        python: The interpreter of the model's environment.
        settings: Limits of time and memory; by default what the environment says.

    Attributes:
        classes: The labels, in the order of the probabilities; empty for a model that has none.
        task: What the model does with a record, as its process sees it; known for certain once it has predicted.
        sandbox: What the kernel keeps the process from: `files` outside of its folders, `network`.

    Raises:
        IntegrityError: The process cannot read the model, the model tried to write files or to open connections meanwhile, or it holds
            types that the operator does not trust.
        OutsideError: The process cannot be started, ended, or took too long.
    """

    def __init__(self, folder: Path, adoption: Adoption, *, python: Path, settings: LoadingSettings | None = None) -> None:
        self.adoption = adoption
        self._settings = settings or LoadingSettings.read()
        self._python = python
        self._flavor = logged_flavor(folder / MODEL_FOLDER, name=adoption.flavor)
        self._message = _first_message(folder / MODEL_FOLDER, adoption, self._flavor)
        self._lock = threading.Lock()
        self._failures = 0
        self._closed = False
        self._process: HostProcess | None = None
        self.sandbox: frozenset[str] = frozenset()
        self.classes: tuple[Any, ...] = ()
        self.task = ""
        self._start()

    @property
    def alive(self) -> bool:
        """Whether the process runs, or will be started by the next call."""
        process = self._process
        return not self._closed and (self._failures < _MOST_FAILURES if process is None else process.alive)

    @property
    def is_loaded(self) -> bool:
        """Whether it can be asked at once, as `FittedPipeline` has it."""
        return self.alive

    @property
    def pid(self) -> int | None:
        """The number of the process; None where none runs."""
        return self._process.pid if self._process is not None else None

    def predict(self, records: Sequence[Mapping[str, object]], params: Mapping[str, object] | None = None) -> Outputs:
        """Return the model's outputs.

        Raises:
            ValueError: The model cannot take one of the records.
            ModelEndedError: The process ended, and the next call restarts it if it can.
            ModelTimeoutError: The model took too long; its process was ended.
        """
        with self._lock:
            answer = self._answer({"records": list(records), "params": dict(params or {})})
            if "task" in answer:
                self.task, self.classes = str(answer["task"]), tuple(answer["classes"] or ())
        if "error" in answer:
            raise ValueError(f"the model raised {answer['type']}")
        outputs = Outputs(answer["values"], answer["probabilities"])
        if len(outputs.values) != len(records) or (outputs.probabilities is not None and len(outputs.probabilities) != len(records)):
            raise ValueError(f"{len(records)} records got {len(outputs.values)} values")
        return outputs

    def rows(self, records: Sequence[Mapping[str, object]]) -> list[ScoredRow]:
        """Return the prediction of a classifier for each record.

        Raises:
            ValueError: As `predict`, or a label is not among the classes.
            OutsideError: As `predict`.
        """
        outputs = self.predict(records)
        rows: Sequence[Sequence[float] | None] = outputs.probabilities or [None] * len(outputs.values)
        return [ScoredRow(self._place(label), row) for label, row in zip(outputs.values, rows, strict=True)]

    def converted(self, form: str) -> bytes:
        """Return the content of a file that the process saves its model to in another form.

        Args:
            form: `skops` or `onnx`.

        Raises:
            ValueError: The process cannot save it so; says why.
            OutsideError: As `predict`.
        """
        with self._lock:
            answer = self._answer({"convert": form, "inputs": self._message["inputs"]})
            if "error" in answer:
                raise ValueError(f"{answer['type']}: {str(answer['message']).strip().partition(chr(10))[0]}")
            assert self._process is not None  # noqa: S101 - it answered just now
            return self._process.file(Path(str(answer["file"])).name)

    def close(self) -> None:
        """End the process for good."""
        with self._lock:
            self._closed = True
            self._end()

    def _place(self, label: object) -> int:
        # Python's True equals 1, and 1.0 equals 1: the labels of one model are of one type, so the first that equals is the one.
        return self.classes.index(label)

    def _answer(self, message: Mapping[str, object]) -> dict[str, Any]:
        if self._process is None:
            if self._closed or self._failures >= _MOST_FAILURES:
                raise ModelEndedError("the process of the model ended, and ended again when it was restarted", hint="passerelle status")
            self._start()
        assert self._process is not None  # noqa: S101 - just started
        try:
            answer = self._process.ask(message, timeout_s=self._settings.model_answer_s)
        except OutsideError:
            self._failures += 1
            self._end()
            raise
        self._failures = 0
        return answer

    def _start(self) -> None:
        """Start the process and let it read the model."""
        settings = self._settings
        sandbox = settings.model_sandbox != "off"
        process = HostProcess(
            self._python, {"memory_mib": settings.model_memory_mib, "readable": self._message["folder"], "sandbox": sandbox}
        )
        self._process = process
        self._finalizer = weakref.finalize(self, process.close)
        try:
            answer = self._read(process)
        except ModelEndedError as error:
            self._end()
            raise ModelEndedError(f"{error.message} while it read the model{_last_line(process.stderr)}", hint=error.hint) from error
        except BaseException:
            self._end()
            raise
        self.classes, self.task = tuple(answer["classes"] or ()), str(answer["task"])
        self.sandbox = frozenset(answer["sandbox"])

    def _read(self, process: HostProcess) -> dict[str, Any]:
        answer = process.ask(self._message, timeout_s=self._settings.model_start_s)
        if "types" in answer:
            operators = f"{self._settings.trusted_types},{_LIBRARIES}"
            foreign = [name for name in sorted(answer["types"]) if not trusted(name, operators)]
            if foreign:
                raise _foreign_types(foreign, self._settings)
            answer = process.ask({"trusted": True}, timeout_s=self._settings.model_start_s)
        if "error" in answer:
            raise _unreadable(answer)
        if self._settings.model_sandbox == "required" and set(answer["sandbox"]) != _WHOLE_SANDBOX:
            missing = " and ".join(sorted(_WHOLE_SANDBOX - set(answer["sandbox"])))
            message = f"the kernel does not keep the process of the model from {missing}, and PASSERELLE_MODEL_SANDBOX requires it"
            raise OutsideError(message, hint="export PASSERELLE_MODEL_SANDBOX=auto")
        return answer

    def _end(self) -> None:
        if self._process is not None:
            self._finalizer()
            self._process = None


def hosted_predict(hosted: HostedModel) -> Predict:
    """Return a predict function over an adopted model of any task, for the golden predictions.

    It raises an IntegrityError where the model refuses one of the inputs.
    """

    def predict(records: Sequence[Mapping[str, object]]) -> tuple[Sequence[object], Sequence[Sequence[float]] | None]:
        try:
            outputs = hosted.predict(records)
        except ValueError as error:
            raise GoldenError(f"the model refuses the inputs of its golden predictions: {error}", hint="passerelle status") from error
        return outputs.values, outputs.probabilities

    return predict


def _first_message(folder: Path, adoption: Adoption, flavor: LoggedFlavor) -> dict[str, object]:
    """Return what the process reads its model by."""
    outputs = adoption.signature.get("outputs")
    with contextlib.suppress(ValueError):
        outputs = json.loads(outputs) if outputs else None
    return {
        "folder": str(folder.resolve()),
        "flavor": flavor.name,
        "entry": flavor.entry,
        "function": flavor.function,
        "inputs": json.loads(adoption.signature["inputs"]),
        "outputs": outputs if isinstance(outputs, list) else None,
        "form": adoption.input_form,
        "labels": [json.loads(label) for label in adoption.labels],
    }


def _foreign_types(foreign: Sequence[str], settings: LoadingSettings) -> UntrustedTypeError:
    message = f"the model holds types that are not trusted: {', '.join(foreign)}"
    return UntrustedTypeError(message, hint=f"export PASSERELLE_TRUSTED_TYPES={','.join(filter(None, (settings.trusted_types, *foreign)))}")


def _unreadable(answer: Mapping[str, Any]) -> IntegrityError:
    if answer.get("tried"):
        attempts = " and to ".join(answer["tried"])
        return UntrustedTypeError(f"the model tried to {attempts} while it was read, which no model may", hint="passerelle status")
    if answer.get("module"):
        way_out = "add its package, or log a module of your own with code_paths"
        message = f"the model needs the module {answer['module']}, which its environment does not have: {way_out}"
        return DamagedFileError(message, hint="passerelle adopt models:/NAME/VERSION --override 'PACKAGE==VERSION'")
    first = str(answer["message"]).strip().partition("\n")[0]
    return DamagedFileError(f"the model cannot be read: {answer['type']}: {first}", hint="passerelle status")


def _last_line(stderr: bytes) -> str:
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    return f": {lines[-1][:300]}" if lines else ""
