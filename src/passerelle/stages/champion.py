"""The version that a challenger is judged next to: the one that the ledger put into production, if MLflow and S3 still have it.

A version is known by its run and the digest of its files: a registered model that was deleted and made anew has the same numbers again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from passerelle.errors import IntegrityError, NotFoundError, OutsideError, RefusedError
from passerelle.gate.promote_hints import promote_command
from passerelle.model.ledger_entry import Entry
from passerelle.model.manifest import check_manifest
from passerelle.names import ARTIFACT_DIGEST, MANIFEST, ModelVersionRef
from passerelle.registry.chain import standing_entry
from passerelle.registry.client import Registry
from passerelle.registry.verified import VerifiedLedger
from passerelle.registry.version_files import download_version
from passerelle.stages.judgement import Judgement, PromotionRequest


@dataclass(frozen=True)
class StandingChampion:
    """What is in production, as the ledger knows it.

    Attributes:
        version: To be judged next to; None before the first promotion, and where it is gone.
        gone: Why it cannot be judged next to, a sentence; None where it is there, or never was.
    """

    version: int | None
    gone: str | None = None


def champion_of(registry: Registry, ledger: VerifiedLedger, holds_alias: int | None) -> StandingChampion:
    """Return the version that the ledger put into production: an alias that was moved by hand has no effect.

    Args:
        holds_alias: The version that holds the alias, which counts where the ledger has none in production.
    """
    entry = standing_entry(ledger.entries)
    number = ledger.in_production or holds_alias
    if number is None:
        return StandingChampion(None)
    try:
        info = registry.model_version(ledger.registered_model, number)
    except NotFoundError:
        by = f"entry {entry.number} of the ledger" if entry else "the alias"
        return StandingChampion(None, f"version {number}, which {by} has in production, is gone from MLflow")
    if entry is None or entry.to_version != number:
        return StandingChampion(number)
    gone = difference_from(entry, info.ref.run_id, info.tags.get(ARTIFACT_DIGEST, ""))
    return StandingChampion(None if gone else number, gone)


def difference_from(entry: Entry, run_id: str, digest: str) -> str | None:
    """Return how the version that MLflow has under a number differs from the one that an entry put into production; None where it does not.

    Args:
        run_id: Of the version in MLflow.
        digest: Of its files, as its tag has it.
    """
    what = f"version {entry.to_version}, which entry {entry.number} of the ledger has in production"
    if entry.run_id and entry.run_id != run_id:
        return f"{what}, is gone: MLflow has another run under its number, so that the registered model was deleted and made anew"
    if entry.artifact_digest and entry.artifact_digest != digest:
        return f"{what}, has another digest in MLflow now: somebody changed it"
    return None


def judged_beside(
    registry: Registry,
    ref: ModelVersionRef,
    champion: StandingChampion,
    request: PromotionRequest,
    judge: Callable[[int | None], Judgement],
) -> tuple[Judgement, StandingChampion]:
    """Return what the gate says of the version next to the champion, and which champion that was.

    Where the champion is gone, the version is judged by the criteria alone, if a person gives a reason.

    Args:
        judge: Asks the gate, given the version of the champion.

    Raises:
        RefusedError: The champion is gone, and nobody says why the version should be promoted without it.
        As `judge`.
    """
    if champion.gone is None:
        try:
            return judge(champion.version), champion
        except (NotFoundError, IntegrityError, OutsideError):
            gone = _without_files(registry, ref.registered_model, champion.version) if champion.version != ref.version else None
            if gone is None:
                raise
            champion = StandingChampion(None, gone)
    reasons = request.reasons
    # Whoever goes on from a ledger that MLflow knows nothing of goes on without what it has in production.
    if "ledger" not in request.taken and not reasons.accepts("champion-gone"):
        message = f"{champion.gone}: {ref} cannot be compared with it; to promote it by the criteria alone, {reasons.lacking}"
        raise RefusedError(message, hint=f"{promote_command(ref)} {reasons.options('champion-gone')}")
    return judge(None), champion


def _without_files(registry: Registry, registered_model: str, version: int | None) -> str | None:
    """Return why the version cannot be scored: its run or an object of it is gone, or another; None where all of it is there."""
    if version is None:
        return None
    try:
        info = registry.model_version(registered_model, version)
        manifest = registry.read_json(registry.run(info.ref.run_id).run_id, MANIFEST)
        with tempfile.TemporaryDirectory(prefix="passerelle-champion-") as folder:
            files = download_version(registry, info, Path(folder))
            check_manifest(files.model, files.golden, manifest, expected_digest=info.tags.get(ARTIFACT_DIGEST))
    except (NotFoundError, IntegrityError) as error:
        return f"version {version}, which is in production, cannot be scored: {error.message}"
    return None
