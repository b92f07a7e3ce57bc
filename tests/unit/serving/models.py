"""Small bento model directories for the tests of the service, made as the importer makes them, without a registry."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import mlflow.sklearn
import pandas as pd
from mlflow.models.signature import infer_signature
from mlflow.types import ColSpec, Schema
from sklearn.pipeline import Pipeline
from skops.io import dumps, get_untrusted_types

from passerelle.model.golden import read_golden
from passerelle.model.ledger_entry import Entry
from passerelle.model.loaded import write_scorer
from passerelle.model.manifest import digest_of_manifest, manifest_of
from passerelle.names import LEDGER_FILE, LINEAGE_FILE, MODEL_FOLDER, OPTIONAL_TEXTS
from passerelle.training.golden_records import golden_predictions
from passerelle.training.tracking import signature_of
from training.candidates import text_candidates

TEXTS = (
    "aucune réponse depuis mars",
    "toujours pas de nouvelles",
    "merci beaucoup",
    "un grand merci",
    "trottoir cassé",
    "poubelle renversée",
)
LABELS = ("délai", "délai", "merci", "merci", "voirie", "voirie")


def text_table() -> tuple[pd.DataFrame, pd.Series]:
    return pd.DataFrame({"text": list(TEXTS) * 4}), pd.Series(list(LABELS) * 4)


def text_pipeline(name: str = "mixed_lr") -> Pipeline:
    """Return a fitted candidate of training/."""
    candidate = next(each for each in text_candidates(seed=0) if each.name == name)
    records, labels = text_table()
    return candidate.pipeline.fit(records, labels)


def write_bento_model(
    folder: Path,
    pipeline: Pipeline,
    example: pd.DataFrame,
    *,
    version: str = "7",
    run_id: str = "0" * 32,
    required: bool = True,
    optional_texts: Sequence[str] = (),
) -> Path:
    """Write what `import` would: the MLflow directory, golden predictions, manifest and lineage."""
    folder.mkdir(parents=True, exist_ok=True)
    signature = infer_signature(example, pipeline.predict(example.head(1)))
    if not required:
        signature.inputs = Schema([ColSpec(column.type, column.name, required=False) for column in signature.inputs])
    if optional_texts:
        signature = signature_of(example.head(1), optional_texts)
    mlflow.sklearn.save_model(
        pipeline,
        str(folder / MODEL_FOLDER),
        serialization_format="skops",
        skops_trusted_types=get_untrusted_types(data=dumps(pipeline)),
        signature=signature,
        input_example=example.head(1),
        pip_requirements=["scikit-learn"],
        metadata={OPTIONAL_TEXTS: list(optional_texts)} if optional_texts else None,
    )
    golden = folder / "golden.json"
    golden.write_text(json.dumps(golden_predictions(pipeline, example), ensure_ascii=False))
    write_scorer(folder / MODEL_FOLDER, pipeline, read_golden(golden))
    manifest = manifest_of(folder / MODEL_FOLDER, golden)
    lineage = {
        "registered_model": "test",
        "version": version,
        "run_id": run_id,
        "artifact_digest": digest_of_manifest(manifest),
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "lineage.json").write_text(json.dumps(lineage))
    return folder


def vouch_for(folder: Path) -> None:
    """Write the ledger's entry that put the model into production beside it, as import does."""
    lineage = json.loads((folder / LINEAGE_FILE).read_text())
    name, version, run_id, digest = (lineage[each] for each in ("registered_model", "version", "run_id", "artifact_digest"))
    entry = Entry(1, "", "2026-11-23T10:00:00.000+00:00", "test@here", "promote", name, None, int(version), run_id, digest)
    (folder / LEDGER_FILE).write_bytes(entry.line())


def text_bento_model(folder: Path) -> Path:
    """Write the bento model of the text pipeline: a copy of the one that this process wrote first, since MLflow takes a second for it."""
    return Path(shutil.copytree(_first_text_bento_model(), folder, dirs_exist_ok=True))


@cache
def _first_text_bento_model() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="passerelle-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return write_bento_model(folder / "model", text_pipeline(), text_table()[0])


def vouched(folder: Path, **lineage: str) -> Path:
    """Write manifest and lineage anew, so that the damage is not found by a digest."""
    manifest = manifest_of(folder / MODEL_FOLDER, folder / "golden.json")
    held = json.loads((folder / "lineage.json").read_text()) | {"artifact_digest": digest_of_manifest(manifest)} | lineage
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "lineage.json").write_text(json.dumps(held))
    return folder
