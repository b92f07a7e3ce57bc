"""From anything that was made on the way back to the training: which version, run, data, code, criteria and ledger entry it comes from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from passerelle.bentos.engine import find_image, labels_of, newest_image
from passerelle.bentos.image_labels import default_image_name
from passerelle.bentos.store import Store
from passerelle.errors import IntegrityError, NotFoundError, shell_word
from passerelle.model.prediction_id import is_prediction_id, run_prefix_of
from passerelle.names import (
    ADOPTION_RUN,
    ARTIFACT_DIGEST,
    BENTO_TAG_LABEL,
    CANDIDATE,
    CODE_DIGEST,
    CONVERTED_FROM,
    CRITERIA_DIGEST,
    DATA_DIGEST,
    DATA_EXPORT,
    FLAVOR,
    GIT_COMMIT,
    GIT_DIRTY,
    GOLDEN_ORIGIN,
    REGISTERED_MODEL_LABEL,
    RUN_ID_LABEL,
    RUN_ID_LENGTH_IN_TAG,
    SEED,
    TASK,
    VERSION_LABEL,
    BentoTag,
)
from passerelle.registry.chain import promotion_of, stood
from passerelle.registry.client import Registry, VersionInfo
from passerelle.registry.recorded_origin import Recorded, recorded
from passerelle.registry.verified import verified_ledger
from passerelle.settings import SigningSettings, StoreSettings
from passerelle.stages.context import Context, stage
from passerelle.stages.origin_differences import differences_of

_RUN = re.compile(r"[0-9a-f]{32}")
_IN_TAG = re.compile(rf"(\d+)-([0-9a-f]{{{RUN_ID_LENGTH_IN_TAG}}})")


@dataclass(frozen=True)
class TraceLink:
    """One link of the chain.

    Attributes:
        name: What it is.
        value: Which one; None where the link is missing.
        note: What is known of it besides, or why it is missing.
    """

    name: str
    value: str | None
    note: str = ""


@dataclass(frozen=True)
class Trace:
    """A chain from what was asked back to the data.

    Attributes:
        kind: What was asked for was taken to be this.
        differences: What is said of the version, by tags above all, and differs from what its manifest records.
    """

    reference: str
    kind: str
    version: int
    links: tuple[TraceLink, ...]
    differences: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """The links that are not there."""
        return tuple(link.name for link in self.links if link.value is None)


@stage
def run(context: Context, reference: str) -> Trace:
    """Return the chain of what was asked for, from the answer to the data.

    Args:
        reference: A version's number, a run id, a prediction id, a bento (model) tag, or the name of an image.

    Raises:
        NotFoundError: Nothing of the registered model is known by that name.
        OutsideError: MLflow or S3 does not answer.
    """
    registry = context.registry
    reference = reference.rpartition("://")[2]  # Kubernetes writes docker-pullable:// in front of some
    kind, version = find_version(registry, reference, labels_of(reference) if ":" in reference or "/" in reference else None)
    first = (TraceLink("prediction", reference, _of_the_run(reference)),) if kind == "prediction" else ()
    built = tuple(_built(context.store, version.ref.bento_model_tag, reference if kind == "image" else None))
    found = recorded(registry, version)
    links = (*first, *built, *links_of(registry, version, context.signing, found))
    return Trace(reference, kind, version.ref.version, links, tuple(differences_of(registry, found, context.signing)))


def refuse_differences(trace: Trace) -> None:
    """Check that nothing is said of the version that differs from what its manifest records.

    Raises:
        IntegrityError: Something is.
    """
    if trace.differences:
        message = f"{len(trace.differences)} things that are said of version {trace.version} are not what its manifest records"
        raise IntegrityError(f"{message}: somebody edited them", hint="passerelle history --verify\npasserelle rollback")


def _of_the_run(prediction_id: str) -> str:
    return f"its {'last' if is_prediction_id(prediction_id) else 'first'} eight characters are the run's"


def _built(settings: StoreSettings, tag: BentoTag, image: str | None) -> Iterator[TraceLink]:
    store = Store(settings)
    newest = None if image else newest_image(BENTO_TAG_LABEL, [str(tag)])
    bento = store.bento(tag)
    name = image or (newest[0] if newest else default_image_name(bento) if bento else f"passerelle/{tag}")
    digest = find_image(name)
    yield TraceLink("image", name if digest else None, digest or f"no engine here holds {name}: passerelle containerize")
    yield TraceLink("bento", str(tag) if bento else None, f"code {bento.info.labels.get(CODE_DIGEST, '')}" if bento else "passerelle build")
    model = store.model(tag)
    yield TraceLink("bento model", str(tag) if model else None, "" if model else "passerelle import")


def looks_like_an_image(reference: str) -> bool:
    """Return whether the name can only be an image's: with a registry or a folder, a digest, or an engine's id."""
    return "/" in reference or "@" in reference or reference.startswith("sha256:")


def find_version(registry: Registry, reference: str, labels: Mapping[str, str] | None = None) -> tuple[str, VersionInfo]:
    """Return what kind of thing is asked for, and the version that it belongs to.

    Args:
        reference: A version's number, a run id, a prediction id, a bento (model) tag, or the name of an image.
        labels: Of the image of that name, where an engine holds one; they count more than its name.

    Raises:
        NotFoundError: No version of the registered model belongs to it.
    """
    name = registry.settings.registered_model
    # An id of 32 characters may be all digits.
    if reference.isdigit() and not _RUN.fullmatch(reference):
        return "model version", registry.model_version(name, int(reference))
    versions = registry.versions(name)
    if is_prediction_id(reference):
        kind, found = "prediction", next((info for info in versions if info.ref.run_id.startswith(run_prefix_of(reference))), None)
    elif _RUN.fullmatch(reference):
        found = next((info for info in versions if reference in (info.ref.run_id, info.logged_by)), None)
        kind = "run" if found else "prediction"
        found = found or next((info for info in versions if info.ref.run_id.startswith(reference[:RUN_ID_LENGTH_IN_TAG])), None)
    else:
        found, kind = _tagged(versions, reference), "image" if looks_like_an_image(reference) else "bento tag"
        if labels is not None and (kind == "image" or found is None):
            return "image", _labelled(registry, versions, reference, labels)
    if found is None:
        raise _unknown(name, reference)
    return kind, found


def _tagged(versions: Sequence[VersionInfo], reference: str) -> VersionInfo | None:
    in_tag = _IN_TAG.search(reference.rpartition(":")[2])
    if in_tag is None:
        return None
    number, run = int(in_tag[1]), in_tag[2]
    return next((info for info in versions if info.ref.version == number and info.ref.run_id.startswith(run)), None)


def _labelled(registry: Registry, versions: Sequence[VersionInfo], reference: str, labels: Mapping[str, str]) -> VersionInfo:
    run, model, number = (labels.get(name, "") for name in (RUN_ID_LABEL, REGISTERED_MODEL_LABEL, VERSION_LABEL))
    found = next((info for info in versions if run and (info.ref.run_id, str(info.ref.version)) == (run, number)), None)
    if found is not None:
        return found
    if not (run and number):
        message = f"the labels of the image {reference} do not name a version: passerelle did not make it"
        raise NotFoundError(message, hint="passerelle containerize")
    hint = (
        f"passerelle trace --model {shell_word(model)} {shell_word(reference)}"
        if model != registry.settings.registered_model
        else "passerelle history"
    )
    raise NotFoundError(f"the image {reference} holds version {number} of '{model}', run {run}, which is not among those here", hint=hint)


def _unknown(registered_model: str, reference: str) -> NotFoundError:
    message = f"nothing of '{registered_model}' is known as '{reference}'"
    if looks_like_an_image(reference):
        return NotFoundError(
            f"{message}, and no engine here holds it", hint=f"docker pull {shell_word(reference)}; passerelle trace {shell_word(reference)}"
        )
    hint = "passerelle history; passerelle trace VERSION"
    return NotFoundError(
        message, hint=f"{hint}\ndocker pull {shell_word(reference)}; passerelle trace {shell_word(reference)}" if ":" in reference else hint
    )


def links_of(
    registry: Registry, version: VersionInfo, signing: SigningSettings | None = None, found: Recorded | None = None
) -> Iterator[TraceLink]:
    """Yield the links from the version back to the data, and to who put it into production.

    Args:
        signing: What the ledger is verified with; a broken one gives no link.
        found: What the manifest records of the version; by default it is read now.
    """
    found = found or recorded(registry, version)
    version = replace(version, tags=found.tags)
    tags = version.tags
    yield TraceLink("model version", str(version.ref.version), f"stage {version.stage}, {tags.get(CANDIDATE, 'candidate unknown')}")
    yield _tag(version, "artifact digest", ARTIFACT_DIGEST, f"passerelle adopt {version.ref.uri}", found.note)
    if ADOPTION_RUN in tags:
        yield from _adoption_links(registry, version)
        yield _promotion(registry, version, signing)
        return
    dirty = tags.get(GIT_DIRTY)
    try:
        run = registry.run(version.ref.run_id)
        dirty = dirty or {**run.tags, **found.run_tags}.get(GIT_DIRTY)
        yield TraceLink("run", run.run_id, f"{run.name}, {registry.experiment_of(run.run_id)}")
    except NotFoundError:
        yield TraceLink("run", None, f"{version.ref.run_id} is gone from MLflow")
    yield _tag(version, "data digest", DATA_DIGEST, "the training did not record it")
    if DATA_EXPORT in tags:
        yield TraceLink("corrected answers", tags[DATA_EXPORT], "digest of the ids in the export of feedback that was learned from")
    changed = "trained with changes that no commit holds" if dirty == "true" else ""
    yield _tag(version, "git commit", GIT_COMMIT, "trained outside of a git checkout, or before its first commit", changed)
    yield _tag(version, "seed", SEED, "the training did not record it")
    yield _tag(version, "criteria", CRITERIA_DIGEST, "the version was not registered by passerelle")
    yield _promotion(registry, version, signing)


def _adoption_links(registry: Registry, version: VersionInfo) -> Iterator[TraceLink]:
    """Yield what is known of a version that was adopted: passerelle did not train it, and knows neither its data nor its code."""
    tags = version.tags
    yield TraceLink("adoption", tags[ADOPTION_RUN], f"{tags.get(TASK, '')}, read as {tags.get(FLAVOR, '')}")
    yield _tag(version, "golden predictions", GOLDEN_ORIGIN, "the adoption did not record it", "made at adoption, not at training")
    if CONVERTED_FROM in tags:
        ancestor, _, digest = tags[CONVERTED_FROM].partition(", ")
        yield TraceLink("converted from", ancestor, digest)
    yield TraceLink("model source", version.source)
    if not version.logged_by:
        yield TraceLink("run", None, "no run logged the model")
        return
    yield _run(registry, version.logged_by)


def _run(registry: Registry, run_id: str) -> TraceLink:
    try:
        run = registry.run(run_id)
    except NotFoundError:
        return TraceLink("run", None, f"{run_id} is gone from MLflow")
    return TraceLink("run", run.run_id, f"{run.name}, {registry.experiment_of(run.run_id)}")


def _tag(version: VersionInfo, name: str, tag: str, why_not: str, note: str = "") -> TraceLink:
    value = version.tags.get(tag)
    return TraceLink(name, value, note) if value and value != "unknown" else TraceLink(name, None, why_not)


def _promotion(registry: Registry, version: VersionInfo, signing: SigningSettings | None) -> TraceLink:
    try:
        entries = verified_ledger(registry, version.ref.registered_model, signing).entries
    except IntegrityError as error:
        return TraceLink("ledger entry", None, f"{error.message}{error.next_lines}")
    last = promotion_of(entries, version.ref, version.tags.get(ARTIFACT_DIGEST, ""))
    other = next((entry.number for entry in reversed(list(stood(entries))) if entry.to_version == version.ref.version), None)
    if last is None and other is not None:
        return TraceLink("ledger entry", None, f"entry {other} is about this number with another run or other files: it was made anew")
    if last is None:
        return TraceLink("ledger entry", None, "it was never put into production")
    reason = f": {last.reason}" if last.reason else ""
    return TraceLink("ledger entry", str(last.number), f"{last.what} by {last.who} at {last.when[:19]}{reason}")
