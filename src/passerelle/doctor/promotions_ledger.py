"""The ledger of each registered model, verified in full."""

from __future__ import annotations

from collections.abc import Iterator

from passerelle.count_of import count_of
from passerelle.doctor.diagnosis import Diagnosis, Health, Surroundings, fine
from passerelle.errors import PasserelleError
from passerelle.registry.client import Registry
from passerelle.registry.verified import broken, history, put_back

NAME = "ledger"


def probe(here: Surroundings) -> Iterator[Diagnosis]:
    """Say whether each ledger is as passerelle wrote it."""
    if here.server is None:
        yield Diagnosis(NAME, Health.NOT_TRIED, "no MLflow server is named")
        return
    registry = Registry(here.server, here.s3, here.environment)
    try:
        registry.check()
    except PasserelleError as error:
        yield Diagnosis(NAME, Health.NOT_TRIED, f"it cannot be read: {error.message}")
        return
    for name in here.registered_models:
        found = history(registry, name, here.signing)
        if found.findings:
            fault = broken(name, found.findings)
            yield Diagnosis(NAME, Health.FAULT, fault.message, fault.hint)
        elif (problem := put_back(registry, name, found.entries)) is not None:
            yield Diagnosis(NAME, Health.FAULT, f"'{name}': {problem}", f"passerelle history --verify --model {name}")
        elif found.damaged_head is not None:
            yield Diagnosis(NAME, Health.WARNING, f"'{name}': {found.damaged_head}", f"passerelle history --verify --model {name}")
        else:
            yield fine(NAME, f"'{name}': {count_of(len(found.entries), 'entry', 'entries')}, none changed, removed or inserted")
