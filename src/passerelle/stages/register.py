"""Make a candidate a version of the registered model, with what identifies it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from passerelle.criteria import Criteria
from passerelle.criteria_file import read_criteria
from passerelle.errors import TRAIN_AGAIN, CriteriaError, IntegrityError, NotFoundError
from passerelle.model.bundle import write_bundle
from passerelle.model.manifest import digest_of_file, digest_of_manifest
from passerelle.model.origin import COPIED, PROVENANCE, copies_of, provenance_in
from passerelle.names import (
    ARTIFACT_DIGEST,
    BUNDLE,
    BUNDLE_DIGEST,
    COMPILED,
    CRITERIA_DIGEST,
    MANIFEST,
    SIGNATURE,
    SIGNED,
    TRUSTED_PICKLE,
    ModelVersionRef,
    bento_name,
)
from passerelle.registry.client import CandidateRun, Registry, VersionInfo
from passerelle.registry.one_version import first_of_run
from passerelle.registry.sign import sign, stored_signature
from passerelle.registry.training_data import TRAINING
from passerelle.settings import SigningSettings
from passerelle.stages.authenticity import Earlier, Examined, earlier_registration, examined, examined_again, stored_manifest
from passerelle.stages.compare import best_run
from passerelle.stages.context import CRITERIA, Context, Progress, silent, stage
from passerelle.stages.promote_digest import leads_to_adoption
from passerelle.stages.shared_model import name_other_projects, tags_of_project
from passerelle.stages.version_description import describe_new

Tags = Mapping[str, str]
NONE: Tags = {}


@dataclass(frozen=True)
class Registered:
    """A model version and how it came about.

    Attributes:
        ref: None at a dry run of what is not registered yet.
        created: False when the run was registered before.
        completed: What a version that was registered before lacked and got now: its signature, or its bundle.
        not_compiled: Why the model has no scorer, where that was found out now.
    """

    registered_model: str
    run_id: str
    candidate: str
    ref: ModelVersionRef | None
    created: bool
    artifact_digest: str
    tags: Mapping[str, str]
    not_compiled: str | None = None
    completed: tuple[str, ...] = ()
    dry_run: bool = False

    @property
    def compiled(self) -> bool:
        """Whether its scorer is registered with it."""
        return self.tags.get(COMPILED) == "true"


@stage
def run(
    context: Context,
    *,
    run_id: str | None = None,
    project: Path = Path(),
    criteria: Path = CRITERIA,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Registered:
    """Make a candidate a version of the registered model.

    Args:
        run_id: The candidate's run; by default the best one of the latest training.
        project: Root of the project that registers; the version is tagged with it.
        criteria: File of the criteria.
        progress: Told which other projects register versions of the same registered model.

    Raises:
        UsageError: The file of the criteria is missing or wrong.
        As `register`.
    """
    read = read_criteria(criteria)
    registry = context.registry
    chosen = run_id or best_run(registry, read)
    tags = tags_of_project(project)
    registered = register(registry, run_id=chosen, criteria=read, signing=context.signing, dry_run=dry_run, tags=tags)
    name_other_projects(registry, project, progress)
    return registered


def register(
    registry: Registry, *, run_id: str, criteria: Criteria, signing: SigningSettings | None = None, dry_run: bool = False, tags: Tags = NONE
) -> Registered:
    """Make the run's model a version, after examining it and replaying its golden predictions.

    A run is registered once: a second call returns the same version, and completes one that has no digest, no bundle, or no signature by
    the key.

    Args:
        signing: With a key, the manifest is signed: of a run that was registered before, only where its signature verifies, if it has
            one, and where the model that was logged, when compiled and digested again, gives the stored manifest.
        tags: Further ones, for a version that is made now.

    Raises:
        CriteriaError: The candidate does not meet the criteria.
        UsageError: The model is not a classifier of a flavor that can be served.
        IntegrityError: The model does not reproduce its golden predictions, would run code when loaded, or is not what was logged
            or registered; nothing is written.
    """
    bento_name(registry.settings.registered_model)  # refused here, and not first by the import
    run, of_run = registry.run(run_id), registry.versions_of_run(run_id)
    earlier = earlier_registration(registry, run_id, of_run, signing)
    with tempfile.TemporaryDirectory(prefix="passerelle-register-") as temporary:
        registration = _Registration(registry, run, of_run, earlier, signing, Path(temporary), dry_run, criteria.digest)
        if registration.version is not None and ARTIFACT_DIGEST in registration.version.tags:
            return _found(registration, registration.version)
        if failures := "; ".join(failure.message for failure in criteria.check(run.metrics)):
            raise CriteriaError(f"'{run.name}' does not meet the criteria: {failures}", hint="passerelle compare")
        with leads_to_adoption(run_id):
            found = _looked_at(registration)
        tags = {**tags, **_tags(run, criteria, found.manifest)} | ({TRUSTED_PICKLE: "true"} if found.description.pickled else {})
        tags |= {SIGNED: "true"} if earlier.to_sign or earlier.verified else {}
        if not dry_run:
            # All artifacts come before the version, and the version is born with its tags: no moment shows one without the other.
            registry.write_json(run_id, MANIFEST, found.manifest)
            tags[BUNDLE_DIGEST] = _bundle(registration, found)
        ref = _with_tags(registration, tags)
    name, digest = registry.settings.registered_model, tags[ARTIFACT_DIGEST]
    return Registered(name, run_id, run.name, ref, True, digest, tags, not_compiled=found.not_compiled, dry_run=dry_run)


@dataclass(frozen=True)
class _Registration:
    """What `register` is called for, and what there is of the run.

    Attributes:
        versions: All of the run, of any registered model.
        folder: Gets the run's files, and is empty before.
        criteria_digest: Of the criteria that are given now.
    """

    registry: Registry
    run: CandidateRun
    versions: tuple[VersionInfo, ...]
    earlier: Earlier
    signing: SigningSettings | None
    folder: Path
    dry_run: bool
    criteria_digest: str

    @property
    def version(self) -> VersionInfo | None:
        """The run's version of the registered model; None where there is none."""
        name = self.registry.settings.registered_model
        return next((info for info in self.versions if info.ref.registered_model == name), None)


def _with_tags(registration: _Registration, tags: Tags) -> ModelVersionRef | None:
    """Return the version with these tags, made where there is none; at a dry run, the one that is there."""
    registry, run_id = registration.registry, registration.run.run_id
    if registration.version is None:
        name = registry.settings.registered_model
        if registration.dry_run:
            return None
        created = first_of_run(registry, registry.create_version(name, run_id, registry.model_uri(run_id), tags))
        describe_new(registry, created, tags)
        return created
    if not registration.dry_run:
        registry.set_version_tags(registration.version.ref, tags)
    return registration.version.ref


def _looked_at(registration: _Registration) -> Examined:
    """Return what the run's model is; a model that was registered before stays as it is, and is compared with what was recorded then.

    Raises:
        IntegrityError: It is not what was recorded.
    """
    registry, run_id, earlier = registration.registry, registration.run.run_id, registration.earlier
    registered = [info for info in registration.versions if ARTIFACT_DIGEST in info.tags]
    if earlier.manifest is not None and (earlier.verified or registration.versions):
        of = str(registration.versions[0].ref) if registration.versions else f"the model of run {run_id}"
        # What a trusted key signed may say that other criteria accepted it then.
        signed = provenance_in(earlier.manifest).get(CRITERIA_DIGEST) if earlier.verified else None
        digest = signed or registration.criteria_digest
        return examined_again(
            registry, run_id, registration.folder, earlier.manifest, criteria_digest=digest, of=of, compile_anew=earlier.to_sign
        )
    if registered:
        return _as_registered(registration, registered)
    compiled = (lambda _: None) if registration.dry_run else partial(registry.add_to_model, run_id)
    return examined(registry, run_id, registration.folder, criteria_digest=registration.criteria_digest, compiled=compiled)


def _as_registered(registration: _Registration, versions: Sequence[VersionInfo]) -> Examined:
    """Return what `examined` does of the files of a run's versions as they are, once they are those that were registered.

    Nothing is signed on the word of these digests: `examined_again` compares file by file.

    Raises:
        IntegrityError: One of them changed since.
    """
    registry, run_id = registration.registry, registration.run.run_id
    stored = provenance_in(stored_manifest(registry, run_id) or {}).get(CRITERIA_DIGEST)
    found = examined(registry, run_id, registration.folder, criteria_digest=stored or registration.criteria_digest)
    recorded = {version.tags[ARTIFACT_DIGEST] for version in versions}
    for later in (PROVENANCE, TRAINING):
        if digest_of_manifest(found.manifest) not in recorded:
            # The manifests of older versions hold no provenance, and those of still older ones no digests of the training's data.
            found.manifest.pop(later, None)
    if digest_of_manifest(found.manifest) not in recorded:
        raise IntegrityError(f"the files of {versions[0].ref} are not those that were registered", hint=TRAIN_AGAIN)
    return found


def _found(registration: _Registration, version: VersionInfo) -> Registered:
    """Return a version that was registered before, once it has a signature where there is a key, and a bundle.

    Raises:
        IntegrityError: Something is missing, and the files are not those that were registered; nothing is written.
    """
    registry, run, name = registration.registry, registration.run, version.ref.registered_model
    earlier = registration.earlier
    missing = [SIGNATURE] if earlier.to_sign and earlier.manifest is not None else []
    missing += [BUNDLE] if _stored_bundle(registration) != version.tags.get(BUNDLE_DIGEST, "") else []
    if missing:
        found = _looked_at(registration)
        if not registration.dry_run:
            signed = {SIGNED: "true"} if earlier.to_sign or earlier.verified else {}
            registry.set_version_tags(version.ref, {BUNDLE_DIGEST: _bundle(registration, found)} | signed)
    digest, completed = version.tags[ARTIFACT_DIGEST], tuple(missing)
    return Registered(
        name, run.run_id, run.name, version.ref, False, digest, version.tags, completed=completed, dry_run=registration.dry_run
    )


def _stored_bundle(registration: _Registration) -> str | None:
    """Return the digest of the run's bundle as it is stored; None where there is none."""
    with suppress(NotFoundError):
        return digest_of_file(registration.registry.run_artifact(registration.run.run_id, BUNDLE, registration.folder / "stored"))
    return None


def _bundle(registration: _Registration, found: Examined) -> str:
    """Store the bundle of what was examined, and the signature where one is to be made; return the bundle's digest.

    What is signed is a manifest that was made in this process, and not one that was read.
    """
    registry, run_id = registration.registry, registration.run.run_id
    new_signature = (
        sign(found.manifest, registration.signing, run_id=run_id)
        if registration.earlier.to_sign and registration.signing is not None
        else None
    )
    signature = new_signature if new_signature is not None else stored_signature(registry, run_id)
    target = registration.folder / Path(BUNDLE).name
    write_bundle(target, found.folder, golden=found.golden, manifest=found.manifest, signature=signature, description=found.description)
    registry.write_file(run_id, BUNDLE, target)
    # After the bundle: where this is interrupted between the two, the signature is still to be made, and the bundle with it.
    if new_signature is not None:
        registry.write_text(run_id, SIGNATURE, new_signature)
    return digest_of_file(target)


def _tags(run: CandidateRun, criteria: Criteria, manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags of the version: copies of what the manifest says, and what the run says where that is an older one."""
    of_run = {name: run.tags[name] for name in COPIED if name in run.tags and not provenance_in(manifest)}
    return {CRITERIA_DIGEST: criteria.digest, **of_run, **copies_of(manifest)}
