"""What ledger and alias disagree about regarding a candidate, and the command that resolves it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from passerelle.errors import NotFoundError
from passerelle.model.ledger_entry import CANDIDATE, Entry, problem_of_terms
from passerelle.names import ARTIFACT_DIGEST, CANDIDATE_ALIAS
from passerelle.registry.candidate_alias import settled_candidate
from passerelle.registry.client import Registry
from passerelle.registry.verified import History
from passerelle.stages.rollout_options import KEY_HEADER

_STOP = "passerelle rollout --stop"


def candidate_disagreements(registry: Registry, found: History, in_production: int | None) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the candidate, and the command that resolves it; nothing where there is none.

    Args:
        found: The ledger, which is not broken.
        in_production: The version that it has in production.
    """
    last = next((entry for entry in reversed(found.entries) if not entry.moves_production), None)
    if last is None:
        by_hand = registry.aliases(found.registered_model).get(str(CANDIDATE_ALIAS))
        if by_hand is not None:
            what = f"the alias {CANDIDATE_ALIAS} points to version {by_hand}, and no entry of the ledger put it there"
            yield what, f"passerelle rollout --candidate {by_hand} --weight 10"
    elif last.what == CANDIDATE and last.to_version == in_production:
        yield f"version {in_production} is in production and is still the candidate: a promotion was interrupted", _STOP
    elif last.what == CANDIDATE and not _is_there(registry, last):
        yield f"version {last.to_version}, the candidate by entry {last.number} of the ledger, is gone from MLflow or was made anew", _STOP
    elif last.what == CANDIDATE and (problem := problem_of_terms(last)) is not None:
        yield problem, f"passerelle rollout --candidate {last.to_version} --weight 10"
    elif not settled_candidate(registry, last):
        yield _unsettled(last), _again(last)


def _is_there(registry: Registry, last: Entry) -> bool:
    try:
        info = registry.model_version(last.registered_model, last.to_version)
    except NotFoundError:
        return False
    return (info.ref.run_id, info.tags.get(ARTIFACT_DIGEST)) == (last.run_id, last.artifact_digest)


def _unsettled(last: Entry) -> str:
    does = (
        f"makes version {last.to_version} the candidate" if last.what == CANDIDATE else f"ended version {last.to_version} as the candidate"
    )
    return f"entry {last.number} of the ledger {does}, and MLflow's tags or alias say otherwise: it was interrupted, or moved by hand"


def _again(last: Entry) -> str:
    """Return the command that completes the entry."""
    if last.candidate is None:
        return _STOP
    shadow = " --shadow" if last.candidate.mode == "shadow" else ""
    header = "" if last.candidate.key_header == KEY_HEADER else f" --key-header {shlex.quote(last.candidate.key_header)}"
    return f"passerelle rollout --candidate {last.to_version} --weight {last.candidate.weight}{shadow}{header}"
