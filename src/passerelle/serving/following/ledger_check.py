"""Whether the ledger put a version into production, as far as a service can know that reads MLflow alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from passerelle.errors import IntegrityError, SettingsError
from passerelle.model.ledger_entry import (
    CANDIDATE_KINDS,
    MOST_ENTRY_BYTES,
    Entry,
    check_entry_signature,
    digest_of,
    parsed_entry,
)
from passerelle.model.numbered_params import digests_by_number
from passerelle.names import ARTIFACT_DIGEST, ENTRY_PARAM, LEDGER_CANDIDATE, LEDGER_ENTRY, ledger_artifact
from passerelle.serving.following.failures import NotReachedError, VersionRefusedError
from passerelle.serving.following.mlflow_rest import AliasedVersion, MlflowRest
from passerelle.settings import SigningSettings

_TAG = re.compile(r"([0-9]{1,12}) (sha256:[0-9a-f]{64})")


@dataclass(frozen=True)
class LedgerRole:
    """Which entries of the ledger put a version where an alias points to.

    Attributes:
        tag: Names the last of these entries, on the registered model and on the version.
        of_candidate: Whether they are those about a candidate, else those that move production.
    """

    tag: str
    of_candidate: bool


PRODUCTION = LedgerRole(LEDGER_ENTRY, of_candidate=False)
CANDIDATE = LedgerRole(LEDGER_CANDIDATE, of_candidate=True)


def ledger_entry(
    mlflow: MlflowRest,
    version: AliasedVersion,
    signing: SigningSettings,
    *,
    highest: int,
    highest_in: Path | None = None,
    role: LedgerRole = PRODUCTION,
) -> bytes:
    """Return the stored line of the ledger's last entry, once it says that this version is in production.

    The entry's number and digest stand in tags of the version and of the registered model, its line among the artifacts of the run.
    Where signatures are required, the entry's own decides: tags and artifacts can be written by whoever may write to MLflow.

    Args:
        highest: The highest number of an entry that was followed before: an old entry is not believed again.
        highest_in: The file that holds this number.

    Raises:
        VersionRefusedError: The alias was moved by hand, the entry is not the one that it claims to be, or the run knows a later one.
        NotReachedError: MLflow does not answer, or lacks the entry.
    """
    number, digest = last_entry(version, mlflow.model_tags(version.registered_model), role)
    if number < highest:
        raise _went_back(version.registered_model, highest, number, highest_in)
    try:
        with mlflow.run_artifact(version.run_id, ledger_artifact(number)) as pieces:
            line = pieces.read(MOST_ENTRY_BYTES + 1)
    except NotReachedError as error:
        if error.code == "server_error":
            what = f"entry {number} of the ledger, an artifact of run {version.run_id}"
            message = f"MLflow does not give out {what}: S3 does not answer, or it is missing"
            raise NotReachedError("ledger", message, hint=_next(version, role)) from error
        raise
    if digest_of(line) != digest:
        message = f"entry {number} of the ledger is not the one that MLflow's tags name"
        raise VersionRefusedError("ledger", message, hint="passerelle history --verify")
    if check_entry(line, version, signing, role).moves_production:
        _check_moves(mlflow, version, number, digest)
    return line


def _check_moves(mlflow: MlflowRest, version: AliasedVersion, number: int, digest: str) -> None:
    """Check that the version's run knows of no later move: each is a parameter of the run, which MLflow lets nobody change or remove.

    The next move out of production always concerns this version; so one run tells it, whatever else was put back.

    Raises:
        VersionRefusedError: It knows one; the ledger and MLflow's tags were put back to an earlier state.
        NotReachedError: Somebody moves production at this moment.
    """
    of_run = digests_by_number(mlflow.run(version.run_id).params, ENTRY_PARAM, version.registered_model)
    later = next((each for each in sorted(of_run) if each > number or (each == number and of_run[each] != digest)), None)
    if later is not None:
        of_model = _TAG.fullmatch(mlflow.model_tags(version.registered_model).get(LEDGER_ENTRY, ""))
        if of_model is not None and int(of_model[1]) > number:
            # The tag is written before the run is told: both were read in the middle of a move.
            raise NotReachedError("ledger", f"production of {version.registered_model} moved while it was read", hint="passerelle status")
        name = f"{version.registered_model} version {version.version}"
        knows = f"the run {version.run_id} of {name} knows an entry {later} of the ledger, {of_run[later]}"
        message = f"{knows}, and MLflow names entry {number} as the last one: the ledger was put back or forged"
        raise VersionRefusedError("ledger", message, hint="passerelle history --verify")


def _went_back(registered_model: str, highest: int, number: int, highest_in: Path | None) -> VersionRefusedError:
    message = (
        f"the ledger of {registered_model} went back from entry {highest} to entry {number}; if the registered model was deleted on purpose"
        f" and made anew, remove {highest_in or 'the file'}, which holds the former number"
    )
    return VersionRefusedError("ledger", message, hint="passerelle history --verify")


def last_entry(version: AliasedVersion, model_tags: Mapping[str, str], role: LedgerRole = PRODUCTION) -> tuple[int, str]:
    """Return number and digest of the ledger's last entry, where version and registered model name the same one.

    Raises:
        VersionRefusedError: They do not.
    """
    of_model, of_version = _TAG.fullmatch(model_tags.get(role.tag, "")), _TAG.fullmatch(version.tags.get(role.tag, ""))
    if of_model is None or of_version is None or of_model[0] != of_version[0]:
        last = f"entry {of_model[1]} of the ledger is about another version" if of_model else "the ledger is empty"
        message = f"the alias points to {version.registered_model} version {version.version}, and no promotion put it there: {last}"
        raise VersionRefusedError("ledger", message, hint=_next(version, role))
    return int(of_model[1]), of_model[2]


def check_entry(line: bytes, version: AliasedVersion, signing: SigningSettings, role: LedgerRole = PRODUCTION) -> Entry:
    """Return the entry of a stored line, once it is about this version with these files, and of the kind that the alias follows.

    Raises:
        VersionRefusedError: It says something else, or lacks a signature that is required.
    """
    entry, history = parsed_entry(line), "passerelle history --verify"
    if entry is None:
        raise VersionRefusedError("ledger", f"the last entry of the ledger of {version.registered_model} cannot be read", hint=history)
    expected = (version.registered_model, version.version, version.run_id, version.tags.get(ARTIFACT_DIGEST))
    if (entry.registered_model, entry.to_version, entry.run_id, entry.artifact_digest) != expected:
        message = f"entry {entry.number} of the ledger is not about {version.registered_model} version {version.version} with these files"
        raise VersionRefusedError("ledger", message, hint=history)
    if not (entry.what in CANDIDATE_KINDS if role.of_candidate else entry.moves_production):
        message = f"entry {entry.number} of the ledger is a {entry.what!r}, and put no version where the alias points to"
        raise VersionRefusedError("ledger", message, hint=_next(version, role))
    try:
        check_entry_signature(entry, signing)
    except (IntegrityError, SettingsError) as error:
        raise VersionRefusedError.of("signature", error) from error
    return entry


def _next(version: AliasedVersion, role: LedgerRole) -> str:
    """Return the command that puts the version where the alias points to."""
    return f"passerelle rollout --candidate {version.version}" if role.of_candidate else f"passerelle promote --version {version.version}"
