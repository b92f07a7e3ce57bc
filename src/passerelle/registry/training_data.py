"""What a training stored of its data with its run: the held-out rows, and the hashes of the training rows."""

from __future__ import annotations

from pathlib import Path

from passerelle.errors import NotFoundError
from passerelle.model.manifest import digest_of_file
from passerelle.names import HELD_OUT, PARENT_RUN, TRAIN_HASHES
from passerelle.registry.client import Registry

#: Of the manifest: the digest of each of the two at registration.
TRAINING = "training"


def training_of(registry: Registry, run_id: str) -> str:
    """Return the training that a candidate's run belongs to; a run without a parent is its own training."""
    return registry.run(run_id).tags.get(PARENT_RUN, run_id)


def digests_of(registry: Registry, run_id: str, folder: Path) -> dict[str, str]:
    """Return the digest of each of the two files that the candidate's training stored."""
    training, found = training_of(registry, run_id), {}
    for name in (HELD_OUT, TRAIN_HASHES):
        try:
            found[name] = digest_of_file(registry.run_artifact(training, name, folder))
        except NotFoundError:
            continue
    return found
