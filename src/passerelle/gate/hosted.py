"""An adopted model for the gate: in the process of its own environment, never in this one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from passerelle.errors import NotFoundError, OutsideError, UntrustedTypeError
from passerelle.gate.held_out import VersionFiles
from passerelle.gate.hosted_cost import hosted_latency, hosted_memory_mib
from passerelle.gate.latency import RECORDS, Latency
from passerelle.model.environment import interpreter
from passerelle.model.hosted import HostedModel, Outputs
from passerelle.settings import LoadingSettings

#: Finds the interpreter of the environment whose locked requirements lie in a folder.
PythonOf = Callable[[Path], Path]
_BATCH = 1_000
Records = Sequence[Mapping[str, object]]


@contextmanager
def hosted(files: VersionFiles, python_of: PythonOf = interpreter) -> Iterator[HostedModel]:
    """Start the model's process and end it at the end.

    Raises:
        UntrustedTypeError: It is a pickle, and the operator lets none be read.
        OutsideError: Its environment is not on this machine.
        IntegrityError: The process cannot read the model.
    """
    adoption = files.adoption
    if adoption is None:
        raise ValueError(f"{files.ref} was not adopted")
    if adoption.pickled and LoadingSettings.read().adopted_pickles == "refused":
        message = f"{files.ref} is a pickle, and PASSERELLE_ADOPTED_PICKLES lets none be read, not even in a process of its own"
        raise UntrustedTypeError(message, hint="export PASSERELLE_ADOPTED_PICKLES=signed")
    folder = files.folder.parent
    try:
        python = python_of(folder)
    except NotFoundError as error:
        again = f"passerelle adopt models:/{files.ref.registered_model}/{files.ref.version}"
        raise OutsideError(f"{files.ref} cannot be scored: {error.message}", hint=again) from error
    model = HostedModel(folder, adoption, python=python)
    try:
        yield model
    finally:
        model.close()


def outputs_of(model: HostedModel, records: Records) -> Outputs:
    """Return the model's outputs for any number of records.

    Raises:
        ValueError: The model cannot take one of them, or gives another number of outputs.
    """
    parts = [model.predict(records[place : place + _BATCH]) for place in range(0, len(records), _BATCH)]
    values = [value for part in parts for value in part.values]
    if len(values) != len(records):
        raise ValueError(f"{len(records)} records got {len(values)} outputs")
    if any(part.probabilities is None for part in parts):
        return Outputs(values, None)
    return Outputs(values, [row for part in parts for row in part.probabilities or ()])


def cost_of(model: HostedModel, records: Records) -> tuple[Latency, float]:
    """Return the latency of one answer and the memory of the process, in MiB."""
    cost = hosted_latency(model, records[:RECORDS])
    return cost, hosted_memory_mib(model)
