"""Whether a run's model is the one that training logged and that was registered: checked by `register` before it signs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from passerelle.errors import TRAIN_AGAIN, IntegrityError, NotFoundError
from passerelle.model.classifier import load_pipeline, pipeline_predict
from passerelle.model.golden import read_golden, replay
from passerelle.model.loaded import write_scorer
from passerelle.model.manifest import digest_of_manifest, manifest_of
from passerelle.model.mlmodel import ModelDescription, describe
from passerelle.model.origin import PROVENANCE, provenance_in
from passerelle.model.token_patterns import check_token_patterns
from passerelle.model.verify import check_signature, own_fingerprint
from passerelle.names import ARTIFACT_DIGEST, CRITERIA_DIGEST, DIGEST_PARAM, GOLDEN, MANIFEST, PREFIX, SCORER_FOLDER, SIGNED
from passerelle.registry.client import Registry, VersionInfo
from passerelle.registry.recorded_origin import logged_differences, provenance_of
from passerelle.registry.sign import stored_signature
from passerelle.registry.training_data import TRAINING, digests_of
from passerelle.settings import SigningSettings

_SCORER = f"{SCORER_FOLDER}/"


class Examined(NamedTuple):
    """The result of examining a run's model.

    Attributes:
        manifest: Of the model's files, with the scorer that it compiles to where it was compiled.
        stored: Of the files as they are stored.
        description: What the model's own file says of it.
        not_compiled: Why it was not compiled, where it could not be.
        folder: The model's files, with that scorer; they are there as long as the caller's folder.
        golden: The file of its golden predictions, beside them.
    """

    manifest: dict[str, Any]
    stored: dict[str, Any]
    description: ModelDescription
    not_compiled: str | None
    folder: Path
    golden: Path


@dataclass(frozen=True)
class Earlier:
    """What is stored of an earlier registration of a run.

    Attributes:
        manifest: The stored manifest; None if there is none, or no key to verify it with.
        verified: Whether its signature verified.
        to_sign: Whether a signature by the key that signs here is still to be made.
    """

    manifest: Mapping[str, object] | None = None
    verified: bool = False
    to_sign: bool = False


def examined(
    registry: Registry, run_id: str, into: Path, *, criteria_digest: str, compiled: Callable[[Path], None] | None = None
) -> Examined:
    """Return what the run's model is, once it loaded safely and reproduced its golden predictions.

    Args:
        into: An empty folder of the caller's, which gets the files.
        criteria_digest: Of the criteria that accept it.
        compiled: Given the folder of the scorer that the model compiles to, whose files are in the manifest then; without it the
            model's files are taken as they are.

    Raises:
        IntegrityError: The model does not reproduce its golden predictions, would run code when loaded, or is not what training logged.
        RefusedError: As `check_token_patterns`.
    """
    folder = registry.download(registry.model_uri(run_id), into / "model")
    golden = registry.run_artifact(run_id, GOLDEN, into)
    training = digests_of(registry, run_id, into / "training")
    left: dict[str, Any] = {TRAINING: training} if training else {}
    stored = manifest_of(folder, golden) | left
    run = registry.run(run_id)
    left |= {PROVENANCE: provenance_of(run, criteria_digest=criteria_digest, manifest=stored)}
    stored |= left
    for each in logged_differences(registry, run, stored, stored=False):
        place = each.name.removeprefix(DIGEST_PARAM)
        raise IntegrityError(f"{place} of the run {run_id} is not what training logged", hint=TRAIN_AGAIN)
    description = describe(folder)
    pipeline = load_pipeline(folder, description)
    check_token_patterns(pipeline)
    seen = read_golden(golden)
    replay(seen, pipeline_predict(pipeline, description.column_names, flavor=description.flavor))
    if compiled is None:
        return Examined(stored, stored, description, None, folder, golden)
    scorer, why = write_scorer(folder, pipeline, seen)
    if scorer:
        compiled(scorer)
    return Examined(manifest_of(folder, golden) | left, stored, description, why, folder, golden)


def earlier_registration(registry: Registry, run_id: str, versions: Sequence[VersionInfo], signing: SigningSettings | None) -> Earlier:
    """Return what is stored of an earlier registration, once it agrees with its signature and with the run's versions.

    Without a key nothing is signed, and nothing verified.

    Args:
        versions: All versions of the run, of any registered model.

    Raises:
        IntegrityError: The signature does not verify or was deleted, the manifest is missing, or a version has another digest.
    """
    if signing is None or not (signing.signing_key or (signing.verify_key and signing.required)):
        return Earlier()
    of = str(versions[0].ref) if versions else f"the model of run {run_id}"
    registered = [version for version in versions if ARTIFACT_DIGEST in version.tags]
    manifest, bundle = stored_manifest(registry, run_id), stored_signature(registry, run_id)
    if bundle is None and (signed := next((version for version in versions if SIGNED in version.tags), None)):
        raise IntegrityError(f"{signed.ref} was signed when it was registered, and its signature is missing", hint=TRAIN_AGAIN)
    if manifest is None and registered:
        raise IntegrityError(f"the manifest of {registered[0].ref} is missing", hint=TRAIN_AGAIN)
    signer = None
    if bundle is not None:
        required = signing.model_copy(update={"verify": "required"})
        signer = check_signature(manifest or {}, bundle, required, of=of, run_id=run_id, own=True)
    for version in registered:
        if version.tags[ARTIFACT_DIGEST] != digest_of_manifest(manifest or {}):
            raise IntegrityError(f"the digest of {version.ref} is not that of its manifest", hint=TRAIN_AGAIN)
    own = own_fingerprint(signing)
    return Earlier(manifest, verified=signer is not None, to_sign=own is not None and signer != own)


def examined_again(
    registry: Registry, run_id: str, into: Path, manifest: Mapping[str, object], *, criteria_digest: str, of: str, compile_anew: bool
) -> Examined:
    """Return what the run's model is, once each file of it is the one that the manifest names.

    Args:
        into: As of `examined`.
        criteria_digest: As of `examined`.
        of: What is compared, for the message.
        compile_anew: Compile the model as it was logged and compare that scorer too, which a signature needs. Where the manifest names
            no scorer, there is none to compare.

    Raises:
        IntegrityError: Names the first file that differs.
    """
    scorer = compile_anew and any(name.startswith(_SCORER) for name in _listed(manifest))
    found = examined(registry, run_id, into, criteria_digest=criteria_digest, compiled=(lambda _: None) if scorer else None)
    for later in {TRAINING, PROVENANCE} - manifest.keys():
        # The manifests of older versions hold no digests of the training's data, and no provenance.
        for each in (found.manifest, found.stored):
            each.pop(later, None)
    if (name := _other_origin(manifest, found.stored)) is not None:
        message = f"{name} in the manifest of {of} is not what its run says"
        if name == CRITERIA_DIGEST.removeprefix(PREFIX):
            message = f"the manifest of {of} names other criteria than those that are given: give those of then with --criteria"
        raise IntegrityError(message, hint=TRAIN_AGAIN)
    if (name := first_difference(manifest, found.stored)) is not None:
        raise IntegrityError(f"{name} of {of} is not what was registered", hint=TRAIN_AGAIN)
    if (name := first_difference(manifest, found.manifest)) is not None:
        raise IntegrityError(f"{of} is not signed: compiled again, its model has another {name} than the manifest", hint=TRAIN_AGAIN)
    return found


def first_difference(one: Mapping[str, object], other: Mapping[str, object]) -> str | None:
    """Return the path of the first file for which two manifests differ, `manifest.json` where they differ elsewhere, else None."""
    listed = [_listed(manifest) for manifest in (one, other)]
    for name in sorted(listed[0].keys() | listed[1].keys()):
        if listed[0].get(name) != listed[1].get(name):
            return name
    return None if digest_of_manifest(one) == digest_of_manifest(other) else Path(MANIFEST).name


def _other_origin(one: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    """Return the first name for which two manifests record another provenance; None where they agree."""
    ours, theirs = provenance_in(one), provenance_in(other)
    return next((name.removeprefix(PREFIX) for name in sorted(ours | theirs) if ours.get(name) != theirs.get(name)), None)


def _listed(manifest: Mapping[str, Any]) -> dict[str, object]:
    try:
        return {**dict(manifest["files"]), **dict(manifest.get(TRAINING, {})), GOLDEN: manifest.get("golden")}
    except (KeyError, TypeError, ValueError):
        return {}


def stored_manifest(registry: Registry, run_id: str) -> dict[str, Any] | None:
    """Return the manifest of an earlier registration; None where there is none."""
    try:
        return registry.read_json(run_id, MANIFEST)
    except NotFoundError:
        return None
