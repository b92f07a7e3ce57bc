"""Make a candidate a version of the registered model, with what identifies it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from passerelle.criteria import Criteria, read_criteria
from passerelle.errors import TRAIN_AGAIN, IntegrityError, RefusedError
from passerelle.model.manifest import digest_of_manifest
from passerelle.names import (
    ARTIFACT_DIGEST,
    CANDIDATE,
    COMPILED,
    CRITERIA_DIGEST,
    DATA_DIGEST,
    GIT_COMMIT,
    GIT_DIRTY,
    GOLDEN_DIGEST,
    LANGUAGE,
    MANIFEST,
    SCORER_FOLDER,
    SEED,
    SIGNATURE,
    SIGNED,
    TASK,
    TRUSTED_PICKLE,
    ModelVersionRef,
)
from passerelle.registry.client import CandidateRun, Registry, VersionInfo
from passerelle.registry.sign import sign
from passerelle.registry.training_data import TRAINING
from passerelle.scorer.storage import INDEX
from passerelle.settings import SigningSettings
from passerelle.stages.authenticity import Earlier, Examined, earlier_registration, examined, examined_again
from passerelle.stages.compare import best_run
from passerelle.stages.context import CRITERIA, Context, Progress, silent, stage
from passerelle.stages.shared_model import name_other_projects, tags_of_project

Tags = Mapping[str, str]
NONE: Tags = {}
_FROM_RUN = (CANDIDATE, DATA_DIGEST, GIT_COMMIT, GIT_DIRTY, LANGUAGE, TASK, SEED)


@dataclass(frozen=True)
class Registered:
    """A model version and how it came about.

    Attributes:
        ref: None at a dry run of what is not registered yet.
        created: False when the run was registered before; nothing was changed then.
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

    A run is registered once: a second call returns the same version, and completes one that has no digest, or no signature by the key.

    Args:
        signing: With a key, the manifest is signed: of a run that was registered before, only where its signature verifies, if it has
            one, and where the model that was logged, when compiled and digested again, gives the stored manifest.
        tags: Further ones, for a version that is made now.

    Raises:
        RefusedError: The candidate does not meet the criteria.
        UsageError: The model is not a classifier of a flavor that can be served.
        IntegrityError: The model does not reproduce its golden predictions, would run code when loaded, or is not what was logged
            or registered; nothing is written.
    """
    name = registry.settings.registered_model
    run = registry.run(run_id)
    of_run = registry.versions_of_run(run_id)
    version = next((info for info in of_run if info.ref.registered_model == name), None)
    earlier = earlier_registration(registry, run_id, of_run, signing)
    if version is not None and ARTIFACT_DIGEST in version.tags:
        if earlier.to_sign and earlier.manifest is not None and signing is not None:
            _sign_later(registry, version, earlier.manifest, signing, dry_run=dry_run)
        return _found(version, run, dry_run)
    if failures := "; ".join(failure.message for failure in criteria.check(run.metrics)):
        raise RefusedError(f"« {run.name} » does not meet the criteria: {failures}", hint="passerelle compare")
    manifest, _, pickled, why = _looked_at(registry, run_id, of_run, earlier, dry_run=dry_run)
    tags = {**tags, **_tags(run, criteria, manifest)} | ({TRUSTED_PICKLE: "true"} if pickled else {})
    tags |= {SIGNED: "true"} if earlier.to_sign or earlier.verified else {}
    if not dry_run:
        # The manifest is written before the version, which is created with its tags, so that neither is ever visible alone.
        registry.write_json(run_id, MANIFEST, manifest)
        if earlier.to_sign and signing is not None:
            _sign(registry, run_id, manifest, signing)
    ref = _with_tags(registry, version, run_id, tags, dry_run=dry_run)
    return Registered(name, run_id, run.name, ref, True, tags[ARTIFACT_DIGEST], tags, not_compiled=why, dry_run=dry_run)


def _with_tags(
    registry: Registry, version: VersionInfo | None, run_id: str, tags: Mapping[str, str], *, dry_run: bool
) -> ModelVersionRef | None:
    """Return the version with these tags, made where there is none; at a dry run, the one that is there."""
    if version is None:
        name = registry.settings.registered_model
        return None if dry_run else registry.create_version(name, run_id, registry.model_uri(run_id), tags)
    if not dry_run:
        registry.set_version_tags(version.ref, tags)
    return version.ref


def _looked_at(registry: Registry, run_id: str, of_run: Sequence[VersionInfo], earlier: Earlier, *, dry_run: bool) -> Examined:
    """Return what the run's model is; a model that was registered before stays as it is, and is compared with what was recorded then.

    Raises:
        IntegrityError: It is not what was recorded.
    """
    registered = [info for info in of_run if ARTIFACT_DIGEST in info.tags]
    if earlier.manifest is not None and (earlier.verified or of_run):
        of = str(of_run[0].ref) if of_run else f"the model of run {run_id}"
        return examined_again(registry, run_id, earlier.manifest, of=of, compile_anew=earlier.to_sign)
    if registered:
        return _as_registered(registry, registered)
    return examined(registry, run_id, compiled=(lambda _: None) if dry_run else partial(registry.add_to_model, run_id))


def _as_registered(registry: Registry, versions: Sequence[VersionInfo]) -> Examined:
    """Return what `examined` does of the files of a run's versions as they are, once they are those that were registered.

    Nothing is signed on the word of these digests: `examined_again` compares file by file.

    Raises:
        IntegrityError: One of them changed since.
    """
    found = examined(registry, versions[0].ref.run_id)
    recorded = {version.tags[ARTIFACT_DIGEST] for version in versions}
    if digest_of_manifest(found.manifest) not in recorded:
        # The manifests of older versions hold no digests of the training's data.
        found.manifest.pop(TRAINING, None)
    if digest_of_manifest(found.manifest) not in recorded:
        raise IntegrityError(f"the files of {versions[0].ref} are not those that were registered", hint=TRAIN_AGAIN)
    return found


def _sign_later(
    registry: Registry, version: VersionInfo, manifest: Mapping[str, object], signing: SigningSettings, *, dry_run: bool
) -> None:
    """Sign a version that was registered before this key existed, after compiling and digesting its model again.

    Raises:
        IntegrityError: The manifest does not name the files of that model; nothing is written.
    """
    found = examined_again(registry, version.ref.run_id, manifest, of=str(version.ref), compile_anew=True)
    if not dry_run:
        _sign(registry, version.ref.run_id, found.manifest, signing)
        registry.set_version_tags(version.ref, {SIGNED: "true"})


def _sign(registry: Registry, run_id: str, manifest: Mapping[str, object], signing: SigningSettings) -> None:
    """Store the signature of a manifest that was made in this process, never of one that was read."""
    if (signature := sign(manifest, signing, run_id=run_id)) is not None:
        registry.write_text(run_id, SIGNATURE, signature)


def _found(version: VersionInfo, run: CandidateRun, dry_run: bool) -> Registered:
    name = version.ref.registered_model
    digest = version.tags[ARTIFACT_DIGEST]
    return Registered(name, run.run_id, run.name, version.ref, created=False, artifact_digest=digest, tags=version.tags, dry_run=dry_run)


def _tags(run: CandidateRun, criteria: Criteria, manifest: Mapping[str, Any]) -> dict[str, str]:
    tags = {name: run.tags[name] for name in _FROM_RUN if name in run.tags}
    return tags | {
        CRITERIA_DIGEST: criteria.digest,
        ARTIFACT_DIGEST: digest_of_manifest(manifest),
        GOLDEN_DIGEST: str(manifest["golden"]),
        COMPILED: "true" if f"{SCORER_FOLDER}/{INDEX}" in manifest["files"] else "false",
    }
