"""Write a bento model from a model's files, once they have been checked."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bentoml._internal.models.model import Model, ModelContext, ModelOptions, ModelStore

from passerelle.bentos.store import Store
from passerelle.model.adoption import ADOPTION_FILE, LOCK_FILE
from passerelle.names import (
    ARTIFACT_DIGEST,
    GOLDEN,
    LEDGER_FILE,
    LINEAGE_FILE,
    MANIFEST_FILE,
    MODEL_FOLDER,
    PREFIX,
    SIGNATURE_FILE,
    BentoTag,
)

#: The part of the lineage that people filter by; BentoML takes short plain text for labels.
_LABELS = ("registered_model", "version", "run_id", "candidate", "data_digest", "git_commit", "criteria_digest")


@dataclass(frozen=True)
class CheckedModel:
    """The files of one model version, checked against what was registered.

    Attributes:
        folder: The model's directory, as MLflow wrote it.
        golden: The file of the golden predictions; what adoption recorded lies beside it.
        manifest: What the files were checked against.
        digest: Of the manifest.
        signature: Of the manifest, where the model was signed.
        lineage: Where the model comes from.
        promotion: The ledger's entries that put it into production; empty where none did.
    """

    folder: Path
    golden: Path
    manifest: Mapping[str, object]
    digest: str
    signature: str | None
    lineage: Mapping[str, object]
    promotion: bytes = b""


def write_bento_model(store: Store, tag: BentoTag, checked: CheckedModel, *, staging: Path) -> Path:
    """Write the bento model and return where it is in the store.

    Args:
        staging: The store's own empty folder, from `Store.staging`.
    """
    models = staging / "models"
    models.mkdir(parents=True)
    # Not bentoml.models.create: it reports every model to BentoML's makers unless a variable of the environment forbids it.
    model = Model.create(
        str(tag),
        module="",
        api_version="v1",
        signatures={},
        labels={ARTIFACT_DIGEST: checked.digest, **_labels(checked.lineage)},
        metadata=_metadata(checked.lineage),
        options=ModelOptions(),
        context=ModelContext("", {}),
    )
    _write_files(Path(model.path), checked)
    model.flush()  # type: ignore[no-untyped-call]
    model.save(ModelStore(models))
    place = models / tag.name / tag.version
    readable_by_others(place)
    return store.publish(place, "models", tag)


def readable_by_others(folder: Path) -> None:
    """Let another user of the machine, such as the one in a container, read the folder."""
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _write_files(place: Path, checked: CheckedModel) -> None:
    shutil.copytree(checked.folder, place / MODEL_FOLDER)
    shutil.copyfile(checked.golden, place / GOLDEN)
    for name in (ADOPTION_FILE, LOCK_FILE):
        if (checked.golden.parent / name).is_file():
            shutil.copyfile(checked.golden.parent / name, place / name)
    (place / MANIFEST_FILE).write_text(json.dumps(checked.manifest, ensure_ascii=False, indent=1), encoding="utf-8")
    if checked.signature is not None:
        (place / SIGNATURE_FILE).write_text(checked.signature, encoding="utf-8")
    if checked.promotion:
        (place / LEDGER_FILE).write_bytes(checked.promotion)
    (place / LINEAGE_FILE).write_text(json.dumps(checked.lineage, ensure_ascii=False, indent=1), encoding="utf-8")


def _metadata(lineage: Mapping[str, object]) -> dict[str, object]:
    """Return the lineage in the types that BentoML takes: what is nested and may hold null becomes JSON."""
    return {
        key: value if isinstance(value, str | int | float) or key == "metrics" else json.dumps(value, ensure_ascii=False)
        for key, value in lineage.items()
    }


def _labels(lineage: Mapping[str, object]) -> dict[str, str]:
    return {f"{PREFIX}{name}": str(lineage[name]) for name in _LABELS if lineage.get(name)}
