"""Folders of adopted models, made by hand: what adoption records of a model, without a registry."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import yaml

from passerelle.model.adoption import ADOPTION_FILE, LOCK_FILE, Adoption, InputForm, Task
from passerelle.model.flavors.logged import logged_flavor
from passerelle.model.golden import golden_content
from passerelle.model.hosted import HostedModel
from passerelle.model.manifest import digest_of_manifest, manifest_of
from passerelle.names import GOLDEN, LINEAGE_FILE, MANIFEST_FILE, MODEL_FOLDER

TEXT = [{"name": "text", "type": "string", "required": True}]


def write_adoption(
    folder: Path,
    *,
    inputs: Sequence[Mapping[str, object]] = TEXT,
    outputs: Sequence[Mapping[str, object]] | None = None,
    params: Sequence[Mapping[str, object]] | None = None,
    task: Task = "classification",
    input_form: InputForm = "table",
    **others: Any,
) -> Adoption:
    """Write the record of adoption beside the model's directory, and return it."""
    flavor = logged_flavor(folder / MODEL_FOLDER)
    parts = {"inputs": inputs, "outputs": outputs, "params": params}
    signature = {name: json.dumps(list(part)) for name, part in parts.items() if part}
    adoption = Adoption(
        "models:/test/1", "", flavor.name, task, signature, "signature", "3.11", input_form=input_form, pickled=flavor.pickled, **others
    )
    (folder / ADOPTION_FILE).write_text(adoption.canonical(), encoding="utf-8")
    (folder / LOCK_FILE).write_text("", encoding="utf-8")
    return adoption


def write_pickled(folder: Path, model: object, **options: Any) -> Adoption:
    """Write a model's directory as `mlflow.sklearn.save_model` does with cloudpickle, and its record of adoption."""
    (folder / MODEL_FOLDER).mkdir(parents=True)
    (folder / MODEL_FOLDER / "model.pkl").write_bytes(cloudpickle.dumps(model))
    entry = {"pickled_model": "model.pkl", "serialization_format": "cloudpickle"}
    (folder / MODEL_FOLDER / "MLmodel").write_text(yaml.safe_dump({"flavors": {"sklearn": entry}}))
    return write_adoption(folder, **{"input_form": "list", **options})


def write_evidence(folder: Path, hosted: HostedModel, records: Sequence[Mapping[str, object]], version: str = "1") -> None:
    """Write the golden predictions, the manifest and the lineage of an adopted model: then `load_model` takes the folder."""
    outputs = hosted.predict(records)
    (folder / GOLDEN).write_text(json.dumps(golden_content(records, outputs.values, hosted.classes, outputs.probabilities)))
    manifest = manifest_of(folder / MODEL_FOLDER, folder / GOLDEN)
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest))
    lineage = {"registered_model": "test", "version": version, "run_id": "0" * 32, "artifact_digest": digest_of_manifest(manifest)}
    (folder / LINEAGE_FILE).write_text(json.dumps(lineage))
