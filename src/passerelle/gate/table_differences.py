"""What `score --versions` found about a version, kept beside its model for the gate's report."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from passerelle.errors import IntegrityError, NotFoundError
from passerelle.model.version_differences import VersionDifferences
from passerelle.names import ARTIFACT_DIGEST, TABLE_DIFFERENCES, ModelVersionRef
from passerelle.registry.client import Registry


def keep_differences(registry: Registry, ref: ModelVersionRef, found: VersionDifferences) -> None:
    """Write what was found beside the new version's model, in the place of what was found before, with run and digest of both."""
    both = _identities(registry, ref.registered_model, (found.former, found.new))
    registry.write_json(ref.run_id, TABLE_DIFFERENCES, replace(found, identities=both).content())


def _identities(registry: Registry, registered_model: str, versions: Sequence[int]) -> tuple[str, ...]:
    """Return run and digest of the versions that have these numbers now."""
    found = (registry.model_version(registered_model, number) for number in versions)
    return tuple(f"{info.ref.run_id} {info.tags.get(ARTIFACT_DIGEST, '')}" for info in found)


def differences_of(registry: Registry, ref: ModelVersionRef, champion: int | None) -> VersionDifferences | None:
    """Return what was found about the version next to the one in production; None where nothing was, or next to another one.

    A version of the same number with another run or other files is another one.

    Raises:
        IntegrityError: The file was changed.
        OutsideError: MLflow or S3 does not answer.
    """
    if champion in (None, ref.version):
        return None
    try:
        with tempfile.TemporaryDirectory(prefix="passerelle-") as folder:
            content = registry.run_artifact(ref.run_id, TABLE_DIFFERENCES, Path(folder)).read_bytes()
        found = VersionDifferences.parse(json.loads(content))
    except NotFoundError:
        return None
    except ValueError as error:
        message = f"the artifact {TABLE_DIFFERENCES} of {ref} was changed: {error}"
        hint = f"passerelle score --versions {champion},{ref.version} --input INPUT --output OUTPUT"
        raise IntegrityError(message, hint=hint) from error
    if (found.former, found.new) != (champion, ref.version):
        return None
    return found if found.identities == _identities(registry, ref.registered_model, (found.former, found.new)) else None
