"""Write what was recorded of an adopted version: artifacts first, tags last, so that an interruption leaves nothing that counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from passerelle.errors import RefusedError, shell_word
from passerelle.model.adoption import ADOPTION_FILE, LOCK_FILE, Adoption
from passerelle.model.bundle import write_bundle
from passerelle.model.manifest import digest_of_file, digest_of_manifest
from passerelle.model.mlmodel import describe
from passerelle.names import (
    ADOPTION_OPTIONS,
    ADOPTION_RUN,
    ARTIFACT_DIGEST,
    BUNDLE,
    BUNDLE_DIGEST,
    COMPILED,
    FLAVOR,
    GOLDEN,
    GOLDEN_DIGEST,
    GOLDEN_ORIGIN,
    MANIFEST,
    MODEL_FOLDER,
    MODEL_SOURCE,
    SIGNATURE,
    SIGNED,
    TASK,
    ModelVersionRef,
)
from passerelle.registry.adoptable import Adoptable, version_of_source
from passerelle.registry.adoption_run import adoption_run, end_adoption, is_run_of
from passerelle.registry.client import Registry, VersionInfo
from passerelle.registry.lock import promotion_lock
from passerelle.registry.sign import sign
from passerelle.registry.verified import verified_ledger
from passerelle.settings import SigningSettings
from passerelle.stages.version_description import describe_adopted


@dataclass(frozen=True)
class NewAdoption:
    """What is to be written.

    Attributes:
        folder: Holds the model's directory and, beside it, all that was recorded.
        options: Digest of the options.
        who: Who adopts, for the lock.
    """

    adoptable: Adoptable
    folder: Path
    manifest: Mapping[str, Any]
    adoption: Adoption
    options: str
    signing: SigningSettings
    who: str


@dataclass(frozen=True)
class AdoptionWriting:
    """What came of it.

    Attributes:
        created: False when the version had this record before.
        completed: What it lacked.
    """

    ref: ModelVersionRef
    created: bool
    completed: tuple[str, ...] = ()


def written(registry: Registry, new: NewAdoption) -> AdoptionWriting:
    """Write the artifacts into a run of the adoption, then the tags of the version, which is made where there is none.

    Raises:
        RefusedError: The version was in production with another record.
        BusyError: Somebody else promotes or adopts a version of the registered model.
    """
    digest = digest_of_manifest(new.manifest)
    version = new.adoptable.version or _new_version(registry, new)
    ref, former = version.ref, dict(version.tags)
    again = former.get(ARTIFACT_DIGEST) == digest
    run_id = former[ADOPTION_RUN] if again and is_run_of(registry, ref) else _run(registry, ref, new)
    signed = _artifacts(registry, run_id, new)
    tags = {
        GOLDEN_DIGEST: str(new.manifest["golden"]),
        BUNDLE_DIGEST: digest_of_file(new.folder / Path(BUNDLE).name),
        GOLDEN_ORIGIN: new.adoption.golden_origin,
        TASK: new.adoption.task,
        FLAVOR: new.adoption.flavor,
        COMPILED: "false",
        ADOPTION_OPTIONS: new.options,
        **({SIGNED: "true"} if signed else {}),
        ADOPTION_RUN: run_id,
        ARTIFACT_DIGEST: digest,
    }
    with promotion_lock(registry.objects, ref.registered_model, new.who, f"adopting version {ref.version}") as check_lock:
        if not again:
            refuse_in_production(registry, ref, new.signing)
        check_lock()
        if ARTIFACT_DIGEST in former and not again:
            # No moment shows the former digest with the new record.
            registry.delete_version_tag(ref, ARTIFACT_DIGEST)
        registry.set_version_tags(ref, tags)
    end_adoption(registry, run_id)
    created = not again or run_id != former.get(ADOPTION_RUN)
    if created:
        describe_adopted(registry, ref, new.adoption.golden_origin)
    return AdoptionWriting(replace(ref, run_id=run_id), created, (SIGNATURE,) if signed and not created else ())


def refuse_in_production(registry: Registry, ref: ModelVersionRef, signing: SigningSettings | None) -> None:
    """Check that the ledger never put the version into production: what was promoted stays what it was.

    Raises:
        RefusedError: It did.
        IntegrityError: The ledger is broken.
    """
    entries = verified_ledger(registry, ref.registered_model, signing).entries
    moved = next((entry for entry in entries if entry.to_version == ref.version), None)
    if moved is not None:
        message = f"{ref} was put into production by {moved.who} with the record that it has; other options need a version of their own"
        model = f"--model {shell_word(ref.registered_model)}"
        hint = f"passerelle status {model}\npasserelle trace {model} {ref.version}"
        raise RefusedError(message, hint=hint)


def _new_version(registry: Registry, new: NewAdoption) -> VersionInfo:
    """Make the run's model a version, without a tag: what MLflow's own `register_model` makes too; once, whoever else adopts it now."""
    found = new.adoptable
    with promotion_lock(registry.objects, found.registered_model, new.who, f"adopting {found}"):
        version = version_of_source(registry, found.registered_model, found.logged_by, found.source)
        if version is not None:
            return version
        ref = registry.create_version(found.registered_model, found.logged_by, found.source, {})
        return registry.model_version(ref.registered_model, ref.version)


def _run(registry: Registry, ref: ModelVersionRef, new: NewAdoption) -> str:
    return adoption_run(registry, ref, digest_of_manifest(new.manifest), {MODEL_SOURCE: new.adoption.source})


def _artifacts(registry: Registry, run_id: str, new: NewAdoption) -> bool:
    """Write all artifacts; return whether the manifest is signed."""
    folder, model = new.folder, new.folder / MODEL_FOLDER
    for name in (GOLDEN, ADOPTION_FILE, LOCK_FILE):
        registry.write_file(run_id, name, folder / name)
    registry.write_json(run_id, MANIFEST, new.manifest)
    signature = sign(new.manifest, new.signing, run_id=run_id)
    bundle = folder / Path(BUNDLE).name
    write_bundle(bundle, model, golden=folder / GOLDEN, manifest=new.manifest, signature=signature, description=describe(model))
    registry.write_file(run_id, BUNDLE, bundle)
    if signature is not None:
        registry.write_text(run_id, SIGNATURE, signature)
    return signature is not None
