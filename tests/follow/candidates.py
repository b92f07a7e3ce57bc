"""What goes wrong while a candidate answers part of the requests; each case is a row of docs/following-faults.md."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from typing import Any

import requests
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from passerelle.model.ledger_entry import CandidateTerms
from passerelle.names import ARTIFACT_DIGEST, ModelVersionRef
from passerelle.registry.candidate_alias import WITHDRAWN, entry_of_candidate, write_candidate
from passerelle.registry.verified import verified_ledger
from tests.follow.followed import Followed, until
from tests.follow.versions import table, words
from tests.unit.serving.models import TEXTS

HALF = CandidateTerms("canary", 50, "X-Rollout-Key")
_KNOWN = len(TEXTS) - 2
_LOOKS = 6


def nominate(followed: Followed, ref: ModelVersionRef, terms: CandidateTerms | None) -> None:
    """Make the version the candidate by the ledger; without terms, end that."""
    versions = followed.versions
    registry, digest = versions.registry, versions.registry.model_version(ref.registered_model, ref.version).tags[ARTIFACT_DIGEST]
    entry = entry_of_candidate(ref, digest, "test@here", terms=terms, ended=None if terms else WITHDRAWN)
    ledger = verified_ledger(registry, ref.registered_model, versions.signing)
    write_candidate(registry, entry, ledger=ledger, signing=versions.signing, check_lock=lambda: None)


def _candidates(followed: Followed) -> list[Mapping[str, Any]]:
    """Return what several new connections are told of the candidate; the workers share the port."""
    address = f"{followed.replica.service.address}/readyz"
    return [requests.get(address, timeout=30).json()["candidate"] for _ in range(_LOOKS)]


def until_all(followed: Followed, name: str, *values: object) -> None:
    """Wait until each worker says one of these of its candidate."""
    until(
        lambda: all(each.get(name) in values for each in _candidates(followed)),
        f"{name} {' or '.join(map(str, values))} of the candidate",
        lambda: _candidates(followed),
    )


def _until_both_answer(followed: Followed, ref: ModelVersionRef) -> None:
    mark, wanted = followed.load.mark(), {str(ref.version), str(followed.wanted.version)}
    until(lambda: wanted <= set(followed.load.since(mark).versions), f"answers of versions {wanted}", lambda: "")


def _without_candidate(followed: Followed, ref: ModelVersionRef) -> None:
    nominate(followed, ref, None)
    until_all(followed, "model_version", None)
    followed.mended = time.monotonic()


def _begins_and_ends(followed: Followed) -> None:
    ref = followed.other()
    nominate(followed, ref, HALF)
    _until_both_answer(followed, ref)
    _without_candidate(followed, ref)


def _refused(followed: Followed) -> None:
    records, labels = table(0)
    versions = followed.versions
    ref = versions.register(versions.logged(words(column="message"), records.rename(columns={"text": "message"}), labels))
    nominate(followed, ref, HALF)
    until_all(followed, "code", "schema")
    _without_candidate(followed, ref)


def _fails_at_times(followed: Followed) -> None:
    """Let the candidate know all but two of the texts that are asked: it raises an error at those."""
    known = TEXTS[:_KNOWN]
    kinds = sorted(set(table(0)[1]))
    records, labels = table(1, known), [kinds[number % len(kinds)] for number in range(len(known))] * 3
    encoder = ColumnTransformer([("text", OneHotEncoder(handle_unknown="error"), ["text"])])
    pipeline = Pipeline([("features", encoder), ("model", LogisticRegression())])
    versions = followed.versions
    ref = versions.register(versions.logged(pipeline, records[0], labels))
    versions.note(ref, known)
    nominate(followed, ref, HALF)
    _until_both_answer(followed, ref)
    address = f"{followed.replica.service.address}/metrics"

    def failures() -> list[str]:
        lines = requests.get(address, timeout=30).text.splitlines()
        return [each for each in lines if each.startswith("passerelle_rollout_requests_total") and 'outcome="error"' in each]

    until(lambda: bool(failures()), "a failure that is counted", failures)
    _without_candidate(followed, ref)


def _breaks_a_limit(followed: Followed) -> None:
    ref = followed.other()
    limits = {"max_latency_ratio": 0.001, "min_requests": 20}
    nominate(followed, ref, CandidateTerms("canary", 50, "X-Rollout-Key", limits))
    until(lambda: all(each.get("backed_out") for each in _candidates(followed)), "a back-out", lambda: _candidates(followed))
    mark = followed.load.mark()
    until(lambda: len(followed.load.since(mark).asked) > _LOOKS, "requests", lambda: "")
    assert set(followed.load.since(mark).versions) == {str(followed.wanted.version)}
    _without_candidate(followed, ref)


def _worker_killed(followed: Followed) -> None:
    ref = followed.other()
    nominate(followed, ref, HALF)
    _until_both_answer(followed, ref)
    followed.replica.leader().send_signal(signal.SIGKILL)
    _until_both_answer(followed, ref)
    _without_candidate(followed, ref)


def _promoted(followed: Followed) -> None:
    ref = followed.other()
    nominate(followed, ref, HALF)
    _until_both_answer(followed, ref)
    followed.promote(ref)
    followed.mended = time.monotonic()
    until_all(followed, "model_version", None)


def _shadow(followed: Followed) -> None:
    ref = followed.other()
    nominate(followed, ref, CandidateTerms("shadow", 100, "X-Rollout-Key"))
    until_all(followed, "mode", "shadow")
    mark = followed.load.mark()
    until(lambda: len(followed.load.since(mark).asked) > _LOOKS, "requests", lambda: "")
    assert set(followed.load.since(mark).versions) == {str(followed.wanted.version)}
    _without_candidate(followed, ref)


#: Fault, what the service does, and the function that injects it.
CASES: tuple[tuple[str, str, Callable[[Followed], None]], ...] = (
    ("a candidate begins, and ends", "half of the requests are answered by it; then none", _begins_and_ends),
    ("a shadow begins, and ends", "answers with its version alone", _shadow),
    ("a candidate that takes other columns", "refuses it, answers with its version alone; `schema`", _refused),
    ("a candidate that raises an error at some texts", "answers those with its version, and counts the failures", _fails_at_times),
    ("a candidate that breaks a limit", "sends it no more requests; `backed_out` in `/readyz`", _breaks_a_limit),
    ("the worker that polls is killed while a candidate answers", "the other worker goes on with both versions", _worker_killed),
    ("a candidate is promoted", "answers all requests with it, as the version in production", _promoted),
)
