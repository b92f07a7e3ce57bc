"""What a version comes from: read from its manifest, and compared with the tags and parameters in MLflow."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from passerelle.errors import IntegrityError, NotFoundError
from passerelle.model.adoption import ADOPTION_FILE, Adoption
from passerelle.model.manifest import ADOPTED, digest_of_file, digest_of_manifest
from passerelle.model.origin import (
    MODEL_DIGEST,
    Manifest,
    TagDifference,
    as_provenance,
    as_recorded,
    of_run,
    provenance_in,
    run_differences,
    version_differences,
)
from passerelle.names import (
    CRITERIA_DIGEST,
    DIGEST_PARAM,
    FLAVOR,
    GOLDEN,
    GOLDEN_ORIGIN,
    HELD_OUT,
    LOGGED_MODEL,
    MANIFEST,
    MODEL_SOURCE,
    PARENT_RUN,
    SCORER_FOLDER,
    TASK,
    TRAIN_HASHES,
)
from passerelle.registry.client import CandidateRun, Registry, VersionInfo
from passerelle.registry.failures import parsed
from passerelle.registry.training_data import TRAINING

_SCORER = f"{SCORER_FOLDER}/"
_OF_TRAINING = (HELD_OUT, TRAIN_HASHES)


@dataclass(frozen=True)
class Recorded:
    """A version, and what its manifest records of it.

    Attributes:
        manifest: None where it is gone or no JSON object.
        differences: Tags, and parameters of its run, that say otherwise.
    """

    version: VersionInfo
    manifest: Manifest | None
    differences: tuple[TagDifference, ...] = ()

    @property
    def tags(self) -> dict[str, str]:
        """The tags of the version, with what the manifest records in the place of its copies."""
        return as_recorded(self.version.tags, self.manifest)

    @property
    def run_tags(self) -> dict[str, str]:
        """What the manifest records of the run; empty for an older version."""
        return provenance_in(self.manifest) if self.manifest else {}

    @property
    def note(self) -> str:
        """Why only the tags say where the version comes from; empty where the manifest does."""
        if self.manifest is None:
            return "its manifest is missing: only the tags, which anyone may edit, say where it comes from"
        if ADOPTED in self.manifest or provenance_in(self.manifest):
            return ""
        return "its manifest is an older one without provenance: only the tags, which anyone may edit, say where it comes from"


def recorded(registry: Registry, version: VersionInfo) -> Recorded:
    """Return what the manifest of a version records, and what says otherwise."""
    try:
        manifest: Manifest = registry.read_json(version.ref.run_id, MANIFEST)
    except (NotFoundError, IntegrityError):
        return Recorded(version, None)
    differences = [*version_differences(version.tags, manifest)]
    # A run that is gone says nothing.
    with suppress(NotFoundError):
        run = registry.run(version.ref.run_id)
        if ADOPTED in manifest:
            differences += adoption_differences(registry, version, run, manifest)
        else:
            differences += run_differences(run.tags, run.params, manifest)
            differences += logged_differences(registry, run, manifest)
    return Recorded(version, manifest, tuple(differences))


def adoption_differences(registry: Registry, version: VersionInfo, run: CandidateRun, manifest: Manifest) -> Iterator[TagDifference]:
    """Yield what tags say of an adopted version otherwise than the record of its adoption, whose digest is in the manifest.

    Args:
        run: Of the adoption.
    """
    expected, digest = dict(manifest.get(ADOPTED) or {}).get(ADOPTION_FILE), None
    with tempfile.TemporaryDirectory(prefix="passerelle-adoption-") as folder:
        with suppress(NotFoundError):
            path = registry.run_artifact(run.run_id, ADOPTION_FILE, Path(folder))
            digest = digest_of_file(path)
        if digest is None or digest != expected:
            yield TagDifference("artifact of the run", ADOPTION_FILE, digest, expected)
            return
        record = Adoption.of(parsed(path.read_bytes(), of=f"the artifact {ADOPTION_FILE} of the run {run.run_id}"))
    recorded_tags = {GOLDEN_ORIGIN: record.golden_origin, TASK: record.task, FLAVOR: record.flavor}
    for name, value in recorded_tags.items():
        # Versions that were adopted earlier have no tag of the flavor.
        if version.tags.get(name) != value and (name in version.tags or name != FLAVOR):
            yield TagDifference("tag of the version", name, version.tags.get(name), value)
    if run.tags.get(MODEL_SOURCE) != record.source:
        yield TagDifference("tag of the run", MODEL_SOURCE, run.tags.get(MODEL_SOURCE), record.source)


def logged_differences(registry: Registry, run: CandidateRun, manifest: Manifest, *, stored: bool = True) -> Iterator[TagDifference]:
    """Yield each file that is not the one that training logged: its digest is a parameter of the run, which MLflow lets nobody change.

    Args:
        stored: Whether an earlier registration wrote the manifest; that of an older version says nothing of the training's data.

    Raises:
        NotFoundError: The run of its training is gone.
    """
    older = stored and TRAINING not in manifest
    found = {LOGGED_MODEL: logged_digest(manifest), GOLDEN: manifest.get("golden"), **dict(manifest.get(TRAINING) or {})}
    parent = run.tags.get(PARENT_RUN)
    for name, digest in {**(registry.run(parent).params if parent else {}), **run.params}.items():
        place = name.removeprefix(DIGEST_PARAM)
        # The manifests of older versions hold no digests of the training's data.
        if place != name and found.get(place) != digest and not (older and place in _OF_TRAINING):
            yield TagDifference("parameter of the run", name, digest, found.get(place))


def logged_digest(manifest: Manifest) -> str:
    """Return the digest of the model's files as training logged them: all but the scorer, which registration adds."""
    files = dict(manifest.get("files") or {})
    return digest_of_manifest({"files": {name: digest for name, digest in files.items() if not name.startswith(_SCORER)}})


def provenance_of(run: CandidateRun, *, criteria_digest: str, manifest: Manifest) -> dict[str, str]:
    """Return the provenance for the manifest of a run's model.

    What training logged as parameters counts before the run's tags, which anyone may edit; runs of older trainings have tags alone.

    Args:
        manifest: Without it.
    """
    return as_provenance(
        {**of_run(run.tags), **of_run(run.params), CRITERIA_DIGEST: criteria_digest, MODEL_DIGEST: logged_digest(manifest)}
    )
