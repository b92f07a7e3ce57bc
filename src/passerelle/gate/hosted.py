"""An adopted model for the gate: in the process of its own environment, never in this one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager

from passerelle.errors import NotFoundError, OutsideError
from passerelle.gate.held_out import VersionFiles
from passerelle.gate.hosted_cost import hosted_latency, hosted_memory_mib
from passerelle.gate.latency import RECORDS, Latency
from passerelle.model.hosted import HostedModel, Outputs, open_hosted

#: Makes the environment of an adopted version's model where it is missing, and returns whether the version's signature was verified.
Prepare = Callable[[VersionFiles], bool]
_BATCH = 1_000
Records = Sequence[Mapping[str, object]]


def as_it_is(_: VersionFiles) -> bool:
    """Make no environment, and verify no signature."""
    return False


@contextmanager
def hosted(files: VersionFiles, prepare: Prepare = as_it_is) -> Iterator[HostedModel]:
    """Start the model's process and end it at the end.

    Raises:
        UntrustedTypeError: It is a pickle that the operator does not let be read.
        OutsideError: Its environment is not on this machine.
        IntegrityError: The process cannot read the model.
    """
    try:
        model = open_hosted(files.folder.parent, signed=prepare(files))
    except NotFoundError as error:
        raise OutsideError(f"{files.ref} cannot be scored: {error.message}", hint=error.hint) from error
    with closing(model):
        yield model


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
