"""What a model comes from, as its manifest records it; the tags in MLflow, which anyone may edit, are copies of that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from passerelle.model.manifest import ADOPTED, digest_of_manifest
from passerelle.names import (
    ARTIFACT_DIGEST,
    CANDIDATE,
    CODE_DIGEST,
    COMPILED,
    CRITERIA_DIGEST,
    DATA_DIGEST,
    DATA_EXPORT,
    GIT_COMMIT,
    GIT_DIRTY,
    GOLDEN_DIGEST,
    HELD_OUT_SET,
    LANGUAGE,
    MIN_CLASS_ROWS,
    OTHER_CLASS,
    PREFIX,
    REFERENCE_DIGEST,
    SCORER_FOLDER,
    SEED,
    TASK,
)

Manifest = Mapping[str, Any]
#: Of the manifest: what the model comes from, by the names of the tags without their prefix.
PROVENANCE = "provenance"
#: In the provenance: the digest of the model's files as training logged them.
MODEL_DIGEST = PREFIX + "model_digest"
#: Tags of a run that the tags of its version copy.
COPIED = (CANDIDATE, DATA_DIGEST, DATA_EXPORT, GIT_COMMIT, GIT_DIRTY, LANGUAGE, TASK, SEED)
#: Tags of a run that its version does not have, and that a second training needs.
OF_RUN_ALONE = (CODE_DIGEST, MIN_CLASS_ROWS, OTHER_CLASS, HELD_OUT_SET, REFERENCE_DIGEST)
_OF_VERSION = (*COPIED, CRITERIA_DIGEST)
#: Tags of versions that older ones do not have.
_LATER = (COMPILED, GOLDEN_DIGEST)
_INDEX = f"{SCORER_FOLDER}/scorer.json"
_LONGEST = 80


@dataclass(frozen=True)
class TagDifference:
    """Something that is tags of a model and differs from what its manifest records.

    Attributes:
        place: What says so: `tag of the version`, `tag of the run` or `parameter of the run`, which MLflow does not allow to be changed.
        name: Of the tag or the parameter.
        value: What it says; None where it is gone.
        recorded: What the manifest says; None where that says nothing.
    """

    place: str
    name: str
    value: str | None
    recorded: str | None

    @property
    def text(self) -> str:
        """The difference as a sentence."""
        value, recorded = (_quoted(each) for each in (self.value, self.recorded))
        return f"the {self.place} {self.name} is {value}, the manifest says {recorded}"


def of_run(tags: Mapping[str, str]) -> dict[str, str]:
    """Return what tags or parameters say that a run's model comes from."""
    return {name: tags[name] for name in (*COPIED, *OF_RUN_ALONE) if name in tags}


def provenance_in(manifest: Manifest) -> dict[str, str]:
    """Return what the manifest says that the model comes from, by the full names of the tags; empty in that of an older version."""
    found = manifest.get(PROVENANCE)
    if not isinstance(found, Mapping):
        return {}
    return {f"{PREFIX}{name}": value for name, value in found.items() if isinstance(value, str)}


def as_provenance(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the provenance for a manifest, by names without their prefix."""
    return {name.removeprefix(PREFIX): value for name, value in sorted(tags.items())}


def copies_of(manifest: Manifest) -> dict[str, str]:
    """Return the tags of a version that are copies of what its manifest says."""
    provenance = provenance_in(manifest)
    copies = {name: provenance[name] for name in _OF_VERSION if name in provenance}
    copies |= {ARTIFACT_DIGEST: digest_of_manifest(manifest), GOLDEN_DIGEST: str(manifest.get("golden"))}
    if ADOPTED not in manifest:
        copies[COMPILED] = "true" if _INDEX in manifest.get("files", ()) else "false"
    return copies


def as_recorded(tags: Mapping[str, str], manifest: Manifest | None) -> dict[str, str]:
    """Return the tags of a version with what the manifest records in the place of its copies.

    Args:
        manifest: None where there is none; that of an older version records no provenance, and its tags are all there is.
    """
    if manifest is None or not provenance_in(manifest):
        return dict(tags)
    copies = copies_of(manifest)
    copies.pop(ARTIFACT_DIGEST)  # compared with the files, not taken over
    own = {name: value for name, value in tags.items() if name not in _OF_VERSION}
    return {**own, **copies}


def version_differences(tags: Mapping[str, str], manifest: Manifest) -> Iterator[TagDifference]:
    """Yield each tag of a version that is not the copy of the manifest that it should be."""
    provenance, copies = provenance_in(manifest), copies_of(manifest)
    names = {*copies, *(_OF_VERSION if provenance else ())}
    for name in sorted(names):
        value, recorded = tags.get(name), copies.get(name)
        if value != recorded and (provenance or value is not None or name not in _LATER):
            yield TagDifference("tag of the version", name, value, recorded)


def run_differences(tags: Mapping[str, str], params: Mapping[str, str], manifest: Manifest) -> Iterator[TagDifference]:
    """Yield each tag and parameter of a run that says otherwise than the manifest; nothing of an older version."""
    provenance = provenance_in(manifest)
    for name in (*COPIED, *OF_RUN_ALONE) if provenance else ():
        if tags.get(name) != provenance.get(name):
            yield TagDifference("tag of the run", name, tags.get(name), provenance.get(name))
        if name in params and params[name] != provenance.get(name):
            yield TagDifference("parameter of the run", name, params[name], provenance.get(name))


def _quoted(value: str | None) -> str:
    if value is None:
        return "not there"
    return repr(value) if len(value) <= _LONGEST else repr(value[:_LONGEST]) + "…"
