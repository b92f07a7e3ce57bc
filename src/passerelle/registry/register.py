"""Make a candidate a version of the registered model, with what identifies it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from passerelle.errors import IntegrityError, RefusedError
from passerelle.names import ModelVersionRef
from passerelle.registry.client import CandidateRun, Registry, VersionInfo
from passerelle.registry.criteria import Criteria
from passerelle.registry.signature import SIGNATURE, sign, verify_version
from passerelle.registry.training_data import TRAINING, digests_of
from passerelle.serving.golden import pipeline_predict, read_golden, replay
from passerelle.serving.load import describe, load_pipeline
from passerelle.serving.manifest import digest_of_manifest, manifest_of
from passerelle.settings import SigningSettings

MANIFEST = "passerelle/manifest.json"
GOLDEN = "golden.json"
ARTIFACT_DIGEST = "passerelle.artifact_digest"
#: On a version whose model is a pickle, which somebody trusted in development.
TRUSTED_PICKLE = "passerelle.trusted_pickle"
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
    """

    registered_model: str
    run_id: str
    candidate: str
    ref: ModelVersionRef | None
    created: bool
    artifact_digest: str
    tags: Mapping[str, str]
    dry_run: bool = False


def register(
    registry: Registry, *, run_id: str, criteria: Criteria, signing: SigningSettings | None = None, dry_run: bool = False
) -> Registered:
    """Make the run's model a version, after a look at what it is and a replay of its golden predictions.

    A run is registered once: a second call returns the same version, and completes one that has no digest, or no signature by the key.

    Args:
        signing: With a key, the manifest is signed.

    Raises:
        RefusedError: The candidate does not meet the criteria.
        UsageError: The model is not a classifier of a flavor that can be served.
        IntegrityError: The model does not reproduce its golden predictions, or would run code when loaded.
    """
    name = registry.settings.registered_model
    run = registry.run(run_id)
    earlier = next((info for info in registry.versions(name) if info.ref.run_id == run_id), None)
    if earlier is not None and ARTIFACT_DIGEST in earlier.tags:
        if signing is not None and not dry_run:
            _sign_later(registry, earlier, signing)
        return _found(earlier, run, dry_run)
    failures = criteria.check(run.metrics)
    if failures:
        listed = "; ".join(failure.message for failure in failures)
        raise RefusedError(f"« {run.name} » does not meet the criteria: {listed}", hint="passerelle compare")
    manifest, pickled = examined(registry, run_id)
    tags = _tags(run, criteria, manifest) | ({TRUSTED_PICKLE: "true"} if pickled else {})
    ref = earlier.ref if earlier else None
    if not dry_run:
        # The manifest comes before the version, and the version is born with its tags: no moment shows one without the other.
        registry.write_json(run_id, MANIFEST, manifest)
        signature = sign(manifest, signing, run_id=run_id) if signing else None
        if signature is not None:
            registry.write_text(run_id, SIGNATURE, signature)
        if ref is None:
            ref = registry.create_version(name, run_id, registry.model_uri(run_id), tags)
        else:
            registry.set_version_tags(ref, tags)
    return Registered(name, run_id, run.name, ref, created=True, artifact_digest=tags[ARTIFACT_DIGEST], tags=tags, dry_run=dry_run)


def examined(registry: Registry, run_id: str) -> tuple[dict[str, Any], bool]:
    """Return the manifest of the run's model and whether it is a pickle, once it loaded safely and reproduced its golden predictions."""
    with tempfile.TemporaryDirectory(prefix="passerelle-register-") as temporary:
        folder = registry.download(registry.model_uri(run_id), Path(temporary) / "model")
        golden = registry.run_artifact(run_id, GOLDEN, Path(temporary))
        description = describe(folder)
        pipeline = load_pipeline(folder, description)
        replay(read_golden(golden), pipeline_predict(pipeline, [column.name for column in description.columns]))
        left = digests_of(registry, run_id, Path(temporary) / "training")
        return manifest_of(folder, golden) | ({TRAINING: left} if left else {}), description.pickled


def _sign_later(registry: Registry, version: VersionInfo, signing: SigningSettings) -> None:
    """Sign a version that was registered before there was this key, once its files were looked at anew.

    Raises:
        IntegrityError: The files are no longer those that were registered.
    """
    if signing.signing_key is None:
        return
    run_id, recorded = version.ref.run_id, version.tags[ARTIFACT_DIGEST]
    own = signing.model_copy(update={"verify_key": None, "verify": "required"})
    try:
        verify_version(registry, version.ref, registry.read_json(run_id, MANIFEST), own)
    except IntegrityError:
        manifest, _ = examined(registry, run_id)
        if digest_of_manifest(manifest) != recorded:
            # Versions that were registered before said nothing of the training's data.
            manifest.pop(TRAINING, None)
        if digest_of_manifest(manifest) != recorded:
            message = f"the files of {version.ref} are not those that were registered: they are not signed"
            raise IntegrityError(message, hint="passerelle rollback goes back to a version that is whole") from None
        registry.write_text(run_id, SIGNATURE, sign(manifest, signing, run_id=run_id) or "")


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
    }
