"""Bring one model version into the BentoML store: resolved once, checked file by file, written in one step."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from passerelle.bentos.bento_model import CheckedModel, write_bento_model
from passerelle.bentos.store import Store
from passerelle.environments.environment import ensure
from passerelle.errors import IntegrityError, OutsideError, PasserelleError, shell_word
from passerelle.model.adoption import LOCK_FILE, read_adoption
from passerelle.model.classifier import load_pipeline, pipeline_predict
from passerelle.model.golden import read_golden, replay
from passerelle.model.hosted import hosted_predict, open_hosted
from passerelle.model.manifest import check_manifest, read_manifest
from passerelle.model.mlmodel import ModelDescription, describe
from passerelle.model.origin import as_recorded
from passerelle.model.promotion_proof import keep_proof
from passerelle.model.verify import check_signature, check_stored_signature
from passerelle.names import (
    ARTIFACT_DIGEST,
    GOLDEN,
    MANIFEST,
    MANIFEST_FILE,
    MODEL_FOLDER,
    PREFIX,
    BentoTag,
    ModelVersionRef,
)
from passerelle.registry.client import Registry, VersionInfo
from passerelle.registry.sign import stored_signature
from passerelle.registry.version_files import download_version
from passerelle.settings import LoadingSettings, SigningSettings, StoreSettings
from passerelle.stages.adopt_hints import completed
from passerelle.stages.context import Context, stage
from passerelle.stages.promotion_lines import lines_of_promotion

_DISK_IS_FULL = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True)
class ImportedModel:
    """A bento model and how it came about.

    Attributes:
        path: Its directory in the store; None at a dry run of what is not there yet.
        created: False when it was there already, with the same digest.
        golden_difference: Largest difference of a probability when the golden predictions were replayed; None when they were not.
    """

    ref: ModelVersionRef
    bento_model_tag: BentoTag
    path: Path | None
    created: bool
    artifact_digest: str
    golden_difference: float | None = None
    dry_run: bool = False


@stage
def run(context: Context, version: int | None = None, *, dry_run: bool = False) -> ImportedModel:
    """Write a version to the store as a bento model, unless it is there.

    Args:
        version: By default the one in production.

    Raises:
        NotFoundError: There is no such version, or none is in production.
        As `import_model`.
    """
    registry = context.registry
    ref = registry.model_version(registry.settings.registered_model, version).ref if version else None
    production = not context.development
    return import_model(registry, context.store, ref=ref, signing=context.signing, production=production, dry_run=dry_run)


def import_model(
    registry: Registry,
    settings: StoreSettings,
    *,
    ref: ModelVersionRef | None = None,
    signing: SigningSettings | None = None,
    production: bool = False,
    dry_run: bool = False,
) -> ImportedModel:
    """Write the version to the store as a bento model, unless it is there, with the ledger's entry that put it into production.

    Args:
        ref: The version; by default the one that holds the alias, asked for once.
        signing: What its signature and the ledger are verified with, where signatures are required.
        production: Refuse a version that the ledger never put into production.

    Raises:
        NotFoundError: No version holds the alias.
        As `lines_of_promotion`.
        IntegrityError: A file is not the one that was registered, or a golden prediction is not reproduced.
        OutsideError: MLflow or S3 does not answer, or the disk is full; the store is as it was.
        BusyError: Another import holds the store.
    """
    version, digest = _looked_up(registry, ref)
    lines = lines_of_promotion(registry, version, signing, alias=ref is None, required=production or ref is None)
    store = Store(settings)
    if dry_run:
        found = _already_there(store, version.ref, digest, signing)
        return found or ImportedModel(version.ref, version.ref.bento_model_tag, None, created=True, artifact_digest=digest, dry_run=True)
    with store.staging() as staging:
        # Looked up under the lock, so that the second of two concurrent imports finds the result of the first.
        found = _already_there(store, version.ref, digest, signing)
        if found is not None:
            store.select("models", found.bento_model_tag)
            _complete(found, lines, signing)
            return found
        with _naming(version.ref, store):
            return _imported(registry, store, version, digest, staging=staging, signing=signing, lines=lines)


@contextmanager
def _naming(ref: ModelVersionRef, store: Store) -> Iterator[None]:
    """Let the hint of an error raised inside name the version where it says to adopt one, and an error of the disk the store."""
    try:
        yield
    except OSError as error:
        raise _cannot_write(store, error) from error
    except PasserelleError as error:
        if error.hint is not None:
            error.hint = completed(error.hint, error.message, ref.uri, ())
        raise


def _looked_up(registry: Registry, ref: ModelVersionRef | None) -> tuple[VersionInfo, str]:
    """Return the version and the digest of its files."""
    name = registry.settings.registered_model
    version = registry.model_version(name, (ref or registry.resolve(name, registry.settings.alias)).version)
    digest = version.tags.get(ARTIFACT_DIGEST)
    if digest is None:
        hint = f"passerelle adopt {shell_word(version.ref.uri)}"
        raise IntegrityError(f"{version.ref} has no digest of its files: it was not registered by passerelle, nor adopted", hint=hint)
    return version, digest


def _cannot_write(store: Store, error: OSError) -> OutsideError:
    if error.errno in _DISK_IS_FULL:
        return OutsideError(f"the disk that holds {store.home} is full; nothing was imported", hint="bentoml models delete")
    return OutsideError(f"the store {store.home} cannot be written: {error.strerror}", hint="export BENTOML_HOME=FOLDER")


def _already_there(store: Store, ref: ModelVersionRef, digest: str, signing: SigningSettings | None) -> ImportedModel | None:
    model = store.model(ref.bento_model_tag)
    if model is None:
        return None
    if model.info.labels.get(ARTIFACT_DIGEST) != digest:
        hint = f"bentoml models delete {ref.bento_model_tag}; passerelle import"
        raise IntegrityError(f"the bento model {ref.bento_model_tag} is not the registered one: another digest", hint=hint)
    if signing is not None:
        folder = Path(model.path)
        try:
            check_stored_signature(folder, json.loads((folder / MANIFEST_FILE).read_bytes()), signing, run_id=ref.run_id)
        except (IntegrityError, ValueError, OSError) as error:
            # It may have been imported without a key; a new import says whether the registered version is signed.
            message = error.message if isinstance(error, IntegrityError) else "its manifest cannot be read"
            hint = f"bentoml models delete {ref.bento_model_tag}; passerelle import"
            raise IntegrityError(f"the bento model {ref.bento_model_tag} cannot be trusted: {message}", hint=hint) from error
    return ImportedModel(ref, ref.bento_model_tag, Path(model.path), created=False, artifact_digest=digest)


def _complete(found: ImportedModel, lines: bytes, signing: SigningSettings | None) -> None:
    """Write what a model in the store lacks: the entry that put it into production since, and the environment of an adopted model.

    The environment may have made room for others, or been made elsewhere.

    Raises:
        IntegrityError: A file in the store is not the one that was registered.
        OutsideError: The environment cannot be made.
    """
    if found.path is not None and lines:
        keep_proof(found.path, lines, signing)
    adoption = read_adoption(found.path) if found.path is not None else None
    if adoption is not None and found.path is not None:
        check_manifest(found.path / MODEL_FOLDER, found.path / GOLDEN, read_manifest(found.path), expected_digest=found.artifact_digest)
        ensure(found.path / LOCK_FILE, adoption.python, LoadingSettings.read())


def _imported(
    registry: Registry, store: Store, version: VersionInfo, digest: str, *, staging: Path, signing: SigningSettings | None, lines: bytes
) -> ImportedModel:
    manifest = registry.read_json(version.ref.run_id, MANIFEST)
    # Kept even where this environment does not require a signature: the service may.
    signature = stored_signature(registry, version.ref.run_id)
    signer = None
    if signing is not None:
        signer = check_signature(manifest, signature, signing, of=str(version.ref), run_id=version.ref.run_id)
    files = download_version(registry, version, staging / "version")
    description, difference = checked(files.model, files.golden, manifest, digest, signed=signer is not None)
    tag = version.ref.bento_model_tag
    lineage = _lineage(registry, version, digest, description, manifest)
    found = CheckedModel(files.model, files.golden, manifest, digest, signature, lineage, lines)
    path = write_bento_model(store, tag, found, staging=staging)
    return ImportedModel(version.ref, tag, path, created=True, artifact_digest=digest, golden_difference=difference)


def checked(
    folder: Path, golden_path: Path, manifest: Mapping[str, Any], digest: str, *, signed: bool = False
) -> tuple[ModelDescription, float]:
    """Return what the model is and by how much it differs from its golden predictions, once it does reproduce them.

    Args:
        folder: The model's directory; of an adopted model, what adoption recorded lies beside it, and its environment is made if it is
            not there.
        signed: Whether the signature was verified.

    Raises:
        IntegrityError: A file differs from the one that was registered, or a golden prediction.
    """
    check_manifest(folder, golden_path, manifest, expected_digest=digest)
    description = describe(folder)
    golden = read_golden(golden_path)
    if description.adoption is not None:
        ensure(folder.parent / LOCK_FILE, description.adoption.python, LoadingSettings.read())
        with closing(open_hosted(folder.parent, signed=signed)) as hosted:
            return description, replay(golden, hosted_predict(hosted))
    pipeline = load_pipeline(folder, description)
    return description, replay(golden, pipeline_predict(pipeline, description.column_names, flavor=description.flavor))


def _lineage(
    registry: Registry, version: VersionInfo, digest: str, description: ModelDescription, manifest: Mapping[str, Any]
) -> dict[str, Any]:
    run = registry.run(version.ref.run_id)
    tags = {key.removeprefix(PREFIX): value for key, value in as_recorded(version.tags, manifest).items() if key.startswith(PREFIX)}
    return {
        **tags,
        "registered_model": version.ref.registered_model,
        "version": str(version.ref.version),
        "run_id": version.ref.run_id,
        "experiment": registry.experiment_of(version.ref.run_id),
        "artifact_digest": digest,
        "signature": description.signature,
        "metrics": dict(sorted(run.metrics.items())),
        "flavor": description.flavor,
        "libraries": description.libraries,
        **({"logged_by": version.logged_by} if description.adoption is not None else {}),
        "created": datetime.fromtimestamp(version.created / 1_000, UTC).isoformat(timespec="seconds"),
    }
