"""Which model a worker may load: one that a promotion put into production, and the one that the deployment names."""

from __future__ import annotations

from pathlib import Path

from passerelle.cluster_settings import DeploymentSettings
from passerelle.errors import IntegrityError
from passerelle.model.lineage import read_lineage
from passerelle.model.promotion_proof import refuse_unpromoted


def refuse_other_model(folder: Path) -> None:
    """Check that the image holds the model that it is deployed as. Loading compares the files with this digest.

    Args:
        folder: The bento model's directory.

    Raises:
        RefusedError: As `refuse_unpromoted`.
        IntegrityError: The image holds another model than the settings name.
    """
    refuse_unpromoted(folder)
    expected_digest = DeploymentSettings.read().expected_digest
    if not expected_digest:
        return
    lineage = read_lineage(folder)
    if lineage["artifact_digest"] != expected_digest:
        message = (
            f"the image holds version {lineage['version']} with the artifact digest {lineage['artifact_digest']}, "
            f"and the deployment expects {expected_digest}"
        )
        raise IntegrityError(message, hint="passerelle containerize; passerelle deploy --target kubernetes")
