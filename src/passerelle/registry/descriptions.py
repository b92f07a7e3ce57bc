"""What people read in MLflow's pages about a version and a registered model; what a person wrote there stays."""

from __future__ import annotations

import hashlib

from passerelle.model.version_tags import record_of
from passerelle.names import DESCRIPTION_DIGEST, ModelVersionRef
from passerelle.registry.client import Registry

_LONGEST_NAME = 120


def describe_version(registry: Registry, ref: ModelVersionRef, text: str) -> bool:
    """Give the version this description, unless a person edited or removed the one that was written before; return whether it has it."""
    with registry.mlflow(str(ref)) as client:
        found = client.get_model_version(ref.registered_model, str(ref.version))
        now, written = found.description or "", record_of(found.tags).get(DESCRIPTION_DIGEST)
        if now != text:
            if written != (_digest(now) if now else None):
                return False
            client.update_model_version(ref.registered_model, str(ref.version), text)
    if written != _digest(text):
        registry.set_version_tags(ref, {DESCRIPTION_DIGEST: _digest(text)})
    return True


def describe_model(registry: Registry, registered_model: str, text: str) -> None:
    """Give the registered model this description, where it has none."""
    with registry.mlflow(f"the registered model '{registered_model}'") as client:
        if not client.get_registered_model(registered_model).description:
            client.update_registered_model(registered_model, text)


def artifact_page(registry: Registry, run_id: str, path: str) -> str:
    """Return the address, within MLflow's pages, of an artifact of a run."""
    with registry.mlflow(f"the run {run_id}") as client:
        experiment_id = client.get_run(run_id).info.experiment_id
    return f"#/experiments/{experiment_id}/runs/{run_id}/artifacts/{path}"


def literal(text: str) -> str:
    """Return a name from data as Markdown that shows it as it is: within a code span nothing is markup."""
    plain = "".join(char if char.isprintable() else " " for char in text).replace("`", "'").replace("|", "¦").strip()
    short = plain if len(plain) <= _LONGEST_NAME else plain[: _LONGEST_NAME - 1] + "…"
    return f"`{short or ' '}`"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
