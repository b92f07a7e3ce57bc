"""From anything that was made on the way back to the training: which version, run, data, code, criteria and ledger entry it comes from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from passerelle.errors import NotFoundError
from passerelle.names import RUN_ID_LENGTH_IN_TAG
from passerelle.registry.client import Registry, VersionInfo
from passerelle.registry.ledger import Ledger

_RUN = re.compile(r"[0-9a-f]{32}")
_IN_TAG = re.compile(rf"(\d+)-([0-9a-f]{{{RUN_ID_LENGTH_IN_TAG}}})")


@dataclass(frozen=True)
class Link:
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
    """

    asked: str
    kind: str
    version: int
    links: tuple[Link, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """The links that are not there."""
        return tuple(link.name for link in self.links if link.value is None)


def find_version(registry: Registry, asked: str) -> tuple[str, VersionInfo]:
    """Return what kind of thing is asked for, and the version that it belongs to.

    Args:
        asked: A version's number, a run id, a prediction id, a bento (model) tag, or the name of an image of ours.

    Raises:
        NotFoundError: No version of the registered model belongs to it.
    """
    name = registry.settings.registered_model
    versions = registry.versions(name)
    if asked.isdigit():
        return "model version", registry.model_version(name, int(asked))
    found: VersionInfo | None = None
    kind = "bento tag" if asked.count(":") == 1 and "/" not in asked else "image"
    if _RUN.fullmatch(asked):
        found = next((info for info in versions if info.ref.run_id == asked), None)
        kind = "run" if found else "prediction"
        found = found or next((info for info in versions if info.ref.run_id.startswith(asked[:RUN_ID_LENGTH_IN_TAG])), None)
    elif (in_tag := _IN_TAG.search(asked.rpartition(":")[2])) is not None:
        number, run = int(in_tag[1]), in_tag[2]
        found = next((info for info in versions if info.ref.version == number and info.ref.run_id.startswith(run)), None)
    if found is None:
        hint = "passerelle trace VERSION | RUN_ID | PREDICTION_ID | BENTO_TAG | IMAGE; passerelle history lists the versions"
        raise NotFoundError(f"nothing of « {name} » is known as « {asked} »", hint=hint)
    return kind, found


def links_of(registry: Registry, version: VersionInfo) -> Iterator[Link]:
    """Yield the links from the version back to the data, and to who put it into production."""
    tags = version.tags
    yield Link("model version", str(version.ref.version), f"stage {version.stage}, {tags.get('passerelle.candidate', 'candidate unknown')}")
    yield _tag(version, "artifact digest", "artifact_digest", "passerelle register records it")
    try:
        run = registry.run(version.ref.run_id)
        yield Link("run", run.run_id, f"{run.name}, {registry.experiment_of(run.run_id)}")
    except NotFoundError:
        yield Link("run", None, f"{version.ref.run_id} is gone from MLflow")
    yield _tag(version, "data digest", "data_digest", "the training did not record it")
    yield _tag(version, "git commit", "git_commit", "trained outside of a git checkout")
    yield _tag(version, "seed", "seed", "the training did not record it")
    yield _tag(version, "criteria", "criteria_digest", "the version was not registered by passerelle")
    yield _promotion(registry, version)


def _tag(version: VersionInfo, name: str, tag: str, why_not: str) -> Link:
    value = version.tags.get(f"passerelle.{tag}")
    return Link(name, value) if value and value != "unknown" else Link(name, None, why_not)


def _promotion(registry: Registry, version: VersionInfo) -> Link:
    entries = Ledger(registry.objects, version.ref.registered_model).entries()
    last = next((entry for entry in reversed(entries) if entry.to_version == version.ref.version and entry.what != "undone"), None)
    if last is None:
        return Link("ledger entry", None, "it was never put into production")
    reason = f": {last.reason}" if last.reason else ""
    return Link("ledger entry", str(last.number), f"{last.what} by {last.who} at {last.when[:19]}{reason}")
