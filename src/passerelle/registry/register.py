"""Make a candidate a version of the registered model, with what identifies it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from passerelle.errors import IntegrityError, RefusedError
from passerelle.names import ModelVersionRef
from passerelle.registry.client import CandidateRun, Registry, VersionInfo
from passerelle.registry.criteria import Criteria
from passerelle.registry.signature import SIGNATURE, sign, verify_version
from passerelle.registry.training_data import TRAINING, digests_of
from passerelle.serving.golden import pipeline_predict, read_golden, replay
from passerelle.serving.load import describe, load_pipeline
from passerelle.serving.manifest import digest_of_manifest, manifest_of
from passerelle.serving.model import SCORER_FOLDER, write_scorer
from passerelle.serving.scorer.packed import INDEX
from passerelle.settings import SigningSettings

MANIFEST = "passerelle/manifest.json"
GOLDEN = "golden.json"
ARTIFACT_DIGEST = "passerelle.artifact_digest"
#: On a version whose model is a pickle, which somebody trusted in development.
TRUSTED_PICKLE = "passerelle.trusted_pickle"
#: On a version: whether the model is registered with the scorer that it compiles to, and is served without scikit-learn.
COMPILED = "passerelle.compiled"
Tags = Mapping[str, str]
NONE: Tags = {}
_FROM_RUN = (
    "passerelle.candidate",
    "passerelle.data_digest",
    "passerelle.git_commit",
    "passerelle.git_dirty",
    "passerelle.language",
    "passerelle.task",
    "passerelle.seed",
)


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


class Examined(NamedTuple):
    """What a look at a run's model found: its manifest, whether it is a pickle, and why it was not compiled where it could not be."""

    manifest: dict[str, Any]
    pickled: bool
    not_compiled: str | None


def register(
    registry: Registry, *, run_id: str, criteria: Criteria, signing: SigningSettings | None = None, dry_run: bool = False, tags: Tags = NONE
) -> Registered:
    """Make the run's model a version, after a look at what it is and a replay of its golden predictions.

    A run is registered once: a second call returns the same version, and completes one that has no digest, or no signature by the key.

    Args:
        signing: With a key, the manifest is signed.
        tags: Further ones, for a version that is made now.

    Raises:
        RefusedError: The candidate does not meet the criteria.
        UsageError: The model is not a classifier of a flavor that can be served.
        IntegrityError: The model does not reproduce its golden predictions, or would run code when loaded.
    """
    name = registry.settings.registered_model
    run = registry.run(run_id)
    of_run = registry.versions_of_run(run_id)
    earlier = next((info for info in of_run if info.ref.registered_model == name), None)
    if earlier is not None and ARTIFACT_DIGEST in earlier.tags:
        if signing is not None and not dry_run:
            _sign_later(registry, earlier, signing)
        return _found(earlier, run, dry_run)
    if failures := "; ".join(failure.message for failure in criteria.check(run.metrics)):
        raise RefusedError(f"« {run.name} » does not meet the criteria: {failures}", hint="passerelle compare")
    held = [info for info in of_run if ARTIFACT_DIGEST in info.tags]
    keep = (lambda _: None) if dry_run else partial(registry.add_to_model, run_id)
    # What a version of another registered model vouches for, its scorer too, stays as it is.
    manifest, pickled, why = _as_registered(registry, held) if held else examined(registry, run_id, compiled=keep)
    tags = {**tags, **_tags(run, criteria, manifest)} | ({TRUSTED_PICKLE: "true"} if pickled else {})
    ref = earlier.ref if earlier else None
    if not dry_run:
        # The manifest comes before the version, and the version is born with its tags: no moment shows one without the other.
        _record(registry, run_id, manifest, signing)
        if ref is None:
            ref = registry.create_version(name, run_id, registry.model_uri(run_id), tags)
        else:
            registry.set_version_tags(ref, tags)
    return Registered(name, run_id, run.name, ref, True, tags[ARTIFACT_DIGEST], tags, not_compiled=why, dry_run=dry_run)


def examined(registry: Registry, run_id: str, *, compiled: Callable[[Path], None] | None = None) -> Examined:
    """Return what the run's model is, once it loaded safely and reproduced its golden predictions.

    Args:
        compiled: Given the folder of the scorer that the model compiles to, whose files are in the manifest then; without it the
            model's files are taken as they are.
    """
    with tempfile.TemporaryDirectory(prefix="passerelle-register-") as temporary:
        folder = registry.download(registry.model_uri(run_id), Path(temporary) / "model")
        golden = registry.run_artifact(run_id, GOLDEN, Path(temporary))
        description = describe(folder)
        pipeline = load_pipeline(folder, description)
        seen = read_golden(golden)
        replay(seen, pipeline_predict(pipeline, [column.name for column in description.columns]))
        scorer, why = write_scorer(folder, pipeline, seen) if compiled else (None, None)
        if compiled and scorer:
            compiled(scorer)
        left = digests_of(registry, run_id, Path(temporary) / "training")
        return Examined(manifest_of(folder, golden) | ({TRAINING: left} if left else {}), description.pickled, why)


def _record(registry: Registry, run_id: str, manifest: Mapping[str, Any], signing: SigningSettings | None) -> None:
    registry.write_json(run_id, MANIFEST, manifest)
    signature = sign(manifest, signing, run_id=run_id) if signing else None
    if signature is not None:
        registry.write_text(run_id, SIGNATURE, signature)


def _sign_later(registry: Registry, version: VersionInfo, signing: SigningSettings) -> None:
    """Sign a version that was registered before there was this key, once its files were looked at anew.

    Raises:
        IntegrityError: The files are no longer those that were registered.
    """
    if signing.signing_key is None:
        return
    run_id = version.ref.run_id
    own = signing.model_copy(update={"verify_key": None, "verify": "required"})
    try:
        verify_version(registry, version.ref, registry.read_json(run_id, MANIFEST), own)
    except IntegrityError:
        manifest = _as_registered(registry, [version]).manifest
        registry.write_text(run_id, SIGNATURE, sign(manifest, signing, run_id=run_id) or "")


def _as_registered(registry: Registry, versions: Sequence[VersionInfo]) -> Examined:
    """Return what `examined` does of the files of a run's versions as they are, once they are those that were registered.

    Raises:
        IntegrityError: One of them changed since.
    """
    found = examined(registry, versions[0].ref.run_id)
    recorded = {version.tags[ARTIFACT_DIGEST] for version in versions}
    if digest_of_manifest(found.manifest) not in recorded:
        # Versions that were registered before said nothing of the training's data.
        found.manifest.pop(TRAINING, None)
    if digest_of_manifest(found.manifest) not in recorded:
        message = f"the files of {versions[0].ref} are not those that were registered"
        raise IntegrityError(message, hint="passerelle train; passerelle rollback goes back to a version that is whole")
    return found


def _found(version: VersionInfo, run: CandidateRun, dry_run: bool) -> Registered:
    name = version.ref.registered_model
    digest = version.tags[ARTIFACT_DIGEST]
    return Registered(name, run.run_id, run.name, version.ref, created=False, artifact_digest=digest, tags=version.tags, dry_run=dry_run)


def _tags(run: CandidateRun, criteria: Criteria, manifest: Mapping[str, Any]) -> dict[str, str]:
    tags = {name: run.tags[name] for name in _FROM_RUN if name in run.tags}
    return tags | {
        "passerelle.criteria_digest": criteria.digest,
        ARTIFACT_DIGEST: digest_of_manifest(manifest),
        "passerelle.golden_digest": str(manifest["golden"]),
        COMPILED: "true" if f"{SCORER_FOLDER}/{INDEX}" in manifest["files"] else "false",
    }
