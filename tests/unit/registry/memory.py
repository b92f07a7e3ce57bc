"""A bucket and a registry in memory, with the conditional writes of S3 and what of MLflow a promotion touches."""

# The registered model is the only one here, whatever is asked for.
# ruff: noqa: ARG002

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from passerelle.errors import IntegrityError, NotFoundError, OutsideError
from passerelle.names import ARTIFACT_DIGEST, ModelVersionRef
from passerelle.registry.client import CandidateRun, Registry, VersionInfo
from passerelle.settings import MlflowSettings

NAME = "comments"


class Bucket:
    """Objects with entity tags.

    `reads` counts; `before_write` is called with the name of each object that is about to be written; `ages_s` are those of objects
    that were not written just now.
    """

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}
        self.reads = 0
        self.ages_s: dict[str, float] = {}
        self.until: dict[str, datetime] = {}
        self.altered: set[str] = set()
        self.before_write: Callable[[str], None] = lambda _: None

    def keys(self, prefix: str, *, most: int | None = None) -> tuple[str, ...]:
        return tuple(sorted(key for key in self.held if key.startswith(prefix))[:most])

    def read(self, key: str, *, most_bytes: int | None = None) -> tuple[bytes, str]:
        self.reads += 1
        if key not in self.held:
            raise NotFoundError(f"{key} does not exist")
        content = self.held[key]
        if most_bytes is not None and len(content) > most_bytes:
            raise IntegrityError(f"{key} holds {len(content)} bytes")
        return content, hashlib.md5(content, usedforsecurity=False).hexdigest()

    def create(self, key: str, content: bytes) -> bool:
        self.before_write(key)
        return self.held.setdefault(key, content) == content

    def replace(self, key: str, content: bytes, *, entity_tag: str) -> bool:
        self.before_write(key)
        if key not in self.held or self.read(key)[1] != entity_tag:
            return False
        self.held[key] = content
        self.ages_s.pop(key, None)
        return True

    def hold(self, key: str, until: datetime) -> bool:
        self.until[key] = until
        return True

    def was_altered(self, key: str) -> bool:
        return key in self.altered

    def entity_tag(self, key: str) -> str:
        return self.read(key)[1]

    def delete(self, key: str) -> None:
        self.held.pop(key, None)
        self.ages_s.pop(key, None)

    def age_s(self, key: str) -> float:
        if key not in self.held:
            raise NotFoundError(f"{key} does not exist")
        return self.ages_s.get(key, 0.0)


class Mlflow:
    """Versions with tags, stages and aliases, and runs with artifacts. `before_write` is called with what is about to be written."""

    def __init__(self, bucket: Bucket, versions: int = 3) -> None:
        self.settings = MlflowSettings.read(tracking_uri="http://nowhere", registered_model=NAME)
        self.objects = bucket
        self.tags: dict[int, dict[str, str]] = {number: {ARTIFACT_DIGEST: f"sha256:{number}"} for number in range(1, versions + 1)}
        self.stages = dict.fromkeys(self.tags, "None")
        self.held_aliases: dict[str, int] = {}
        self.held_model_tags: dict[str, str] = {}
        self.params: dict[str, dict[str, str]] = {}
        self.artifacts: dict[tuple[str, str], str] = {}
        self.before_write: Callable[[str], None] = lambda _: None

    def model_version(self, registered_model: str, version: int) -> VersionInfo:
        if version not in self.tags:
            raise NotFoundError(f"version {version} does not exist")
        return VersionInfo(ref(version), dict(self.tags[version]), self.stages[version], "", 0)

    def run(self, run_id: str) -> CandidateRun:
        return CandidateRun(run_id, "it", {}, {}, "FINISHED", dict(self.params.get(run_id, {})))

    @contextmanager
    def mlflow(self, what: str) -> Iterator[Mlflow]:
        yield self

    def get_run(self, run_id: str) -> SimpleNamespace:
        return SimpleNamespace(
            info=SimpleNamespace(lifecycle_stage="active"), data=SimpleNamespace(params=dict(self.params.get(run_id, {})))
        )

    def log_param(self, run_id: str, name: str, value: str) -> None:
        self.before_write(f"parameter {name}")
        if self.params.setdefault(run_id, {}).setdefault(name, value) != value:
            raise OutsideError(f"the parameter {name} cannot be changed")

    def read_json(self, run_id: str, path: str) -> dict[str, object]:
        raise NotFoundError(f"the run {run_id} has no artifact {path}")

    def versions(self, registered_model: str) -> tuple[VersionInfo, ...]:
        return tuple(self.model_version(registered_model, number) for number in sorted(self.tags, reverse=True))

    def aliases(self, registered_model: str) -> dict[str, int]:
        return dict(self.held_aliases)

    def resolve(self, registered_model: str, alias: str) -> ModelVersionRef:
        return ref(self.held_aliases[alias])

    def model_tags(self, registered_model: str) -> dict[str, str]:
        return dict(self.held_model_tags)

    def set_model_tag(self, registered_model: str, name: str, value: str) -> None:
        self.before_write(f"model tag {name}")
        self.held_model_tags[name] = value

    def set_version_tags(self, of: ModelVersionRef, tags: dict[str, str]) -> None:
        self.before_write("version tag")
        if of.version not in self.tags:
            raise NotFoundError(f"version {of.version} does not exist")
        self.tags[of.version] |= tags

    def write_text(self, run_id: str, path: str, content: str) -> None:
        self.before_write(f"artifact {path}")
        self.artifacts[run_id, path] = content

    def run_artifact(self, run_id: str, path: str, destination: Path) -> Path:
        if (run_id, path) not in self.artifacts:
            raise NotFoundError(f"the run {run_id} has no {path}")
        (destination / "artifact").write_text(self.artifacts[run_id, path], encoding="utf-8")
        return destination / "artifact"

    def set_alias(self, of: ModelVersionRef, alias: str) -> None:
        self.before_write(f"alias {alias}")
        self.held_aliases[alias] = of.version

    def delete_alias(self, registered_model: str, alias: str) -> None:
        self.before_write(f"alias {alias}")
        self.held_aliases.pop(alias, None)

    def set_stage(self, of: ModelVersionRef, stage: str) -> None:
        self.before_write(f"stage {stage}")
        self.stages[of.version] = stage

    def delete_version(self, version: int) -> None:
        del self.tags[version], self.stages[version]
        self.held_aliases = {alias: number for alias, number in self.held_aliases.items() if number != version}


def ref(version: int) -> ModelVersionRef:
    return ModelVersionRef(NAME, version, f"{version}" * 32)


def real(mlflow: Mlflow) -> Registry:
    """Return the registry as the type that the stages take."""
    return cast("Registry", mlflow)
