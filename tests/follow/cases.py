"""What goes wrong while the service follows, and what it does then; each case is a row of docs/following-faults.md."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from passerelle.serving.following.published import CURRENT
from tests.follow import candidates, machine, proxy, replicas, webhooks
from tests.follow.bad_versions import BAD_VERSIONS, BadVersion
from tests.follow.followed import Followed, until

#: How long a worker is stopped, and how slow a slow server is.
LONG_S = float(os.environ.get("FOLLOW_LONG_S", "5"))
SWAPS = int(os.environ.get("FOLLOW_SWAPS", "5"))


@dataclass(frozen=True)
class Case:
    """One fault.

    Attributes:
        fault: In words.
        does: What the service does, in words.
        run: Injects the fault, checks what the service reports, and takes the fault away.
    """

    fault: str
    does: str
    run: Callable[[Followed], None]


def _mlflow(fault: Callable[[], proxy.Fault], code: str, *, moves: bool = False) -> Callable[[Followed], None]:
    """Return a case in which MLflow fails so; and meanwhile another version is put into production, where it moves."""

    def run(followed: Followed) -> None:
        with followed.fails(fault()):
            followed.until_code(code)
            if moves:
                followed.promote(followed.other())

    return run


def _artifacts(fault: Callable[[], proxy.Fault], code: str, *parts: str) -> Callable[[Followed], None]:
    """Return a case in which the files of a version cannot be had."""

    def run(followed: Followed) -> None:
        ref = followed.other()
        followed.forget(ref)
        made = fault()

        def injected(path: str, ask: Callable[[], proxy.Answer]) -> proxy.Answer | None:
            return made(path, ask) if any(part in path for part in parts) else ask()

        with followed.fails(injected):
            followed.promote(ref)
            followed.until_code(code)
        if isinstance(made, proxy.Slow):
            made.mended.set()

    return run


def _old_alias(followed: Followed) -> None:
    with followed.fails(proxy.only("registered-models/alias", proxy.Remembered())):
        _polled(followed, 2)
        before = followed.wanted
        followed.promote(followed.other())
        _polled(followed, 3)
        assert followed.replica.answers_with(before.version)


def _polled(followed: Followed, times: int) -> None:
    """Wait for so many polls."""
    before = followed.proxy.requests
    until(lambda: followed.proxy.requests >= before + times, f"{times} polls", lambda: followed.proxy.requests)


def _s3_down(followed: Followed) -> None:
    ref = followed.other()
    followed.forget(ref)
    with followed.fails(proxy.closed):
        followed.promote(ref)
        followed.s3().stop()
    try:
        until(lambda: followed.replica.board.state().code in ("ledger", "server_error"), "a failure", followed.replica.board.state)
    finally:
        followed.s3().start()
        followed.s3().wait_until_healthy(60)
    followed.mended = time.monotonic()


def _killed(followed: Followed) -> None:
    ref = followed.other()
    followed.forget(ref)
    slow = proxy.Slow(30)
    with followed.fails(proxy.only("get-artifact", slow)):
        before = followed.proxy.requests
        followed.promote(ref)
        until(
            lambda: any(followed.replica.board.versions.glob(".partial-*")) or followed.proxy.requests > before + 2,
            "a download",
            lambda: "",
        )
        followed.replica.leader().send_signal(signal.SIGKILL)
    slow.mended.set()


def _stopped(followed: Followed) -> None:
    leader = followed.replica.leader()
    leader.send_signal(signal.SIGSTOP)
    try:
        followed.promote(followed.other())
        time.sleep(LONG_S)
    finally:
        leader.send_signal(signal.SIGCONT)
    followed.mended = time.monotonic()


def _moved_often(followed: Followed) -> None:
    other = followed.other()
    for _ in range(25):
        began = time.monotonic()
        followed.versions.by_hand(other)
        followed.versions.by_hand(followed.wanted)
        time.sleep(max(0.0, 0.4 - (time.monotonic() - began)))
    followed.mended = time.monotonic()


def _moved_by_hand(followed: Followed) -> None:
    followed.versions.by_hand(followed.other())
    followed.until_code("ledger")
    followed.versions.by_hand(followed.wanted)
    followed.mended = time.monotonic()


def _alias_deleted(followed: Followed) -> None:
    registry = followed.versions.registry
    registry.delete_alias(followed.wanted.registered_model, "production")
    followed.until_code("no_alias")
    followed.versions.by_hand(followed.wanted)
    followed.mended = time.monotonic()


def _made_anew(followed: Followed) -> None:
    """Let the numbers of the versions start again while version 1 is in production."""
    versions = followed.versions
    for ref in (followed.others[1], followed.others[0]):
        followed.promote(ref)
        followed.until_in_step()
    assert followed.wanted.version == 1
    versions.delete_registered_model()
    followed.until_code("no_model")
    followed.others.clear()
    assert followed.promote(followed.turn(1)).version == 1
    # The former ledger had more entries.
    followed.until_code("ledger")
    (followed.replica.folder / CURRENT).unlink()
    followed.mended = time.monotonic()
    followed.turn(0)


def _swaps(followed: Followed) -> None:
    for _ in range(SWAPS):
        followed.promote(followed.other())
        followed.mended = time.monotonic()
        followed.until_in_step()


def _rollback(followed: Followed) -> None:
    before, ref = followed.wanted, followed.other()
    followed.promote(ref)
    followed.until_in_step()
    followed.versions.rollback()
    followed.wanted, followed.mended = before, time.monotonic()


def _damaged_on_disk(followed: Followed) -> None:
    """Damage what was downloaded before, of a version that is not loaded."""
    ref = followed.other()
    for folder in followed.replica.board.versions.glob(f"{ref.version}-*"):
        (folder / "manifest.json").write_bytes(b"{}")
    followed.promote(ref)
    followed.mended = time.monotonic()


def _bad(kind: BadVersion) -> Callable[[Followed], None]:
    """Return a case in which such a version is promoted, and another one after it."""

    def run(followed: Followed) -> None:
        before = followed.wanted
        followed.promote(kind.make(followed.versions))
        followed.until_code(kind.code)
        assert followed.replica.answers_with(before.version)
        followed.versions.rollback()
        followed.wanted, followed.mended = before, time.monotonic()

    return run


def _wrong_bytes(followed: Followed) -> None:
    before = followed.wanted
    _artifacts(lambda: proxy.flipped, "digest", *_FILES)(followed)
    followed.versions.rollback()
    followed.wanted, followed.mended = before, time.monotonic()


def _other_signature(followed: Followed) -> None:
    before = followed.wanted

    def unsigned(path: str, ask: Callable[[], proxy.Answer]) -> proxy.Answer | None:
        if "bundle.tar" in path:
            return proxy.Answer(500, b"{}")
        return proxy.Answer(200, b"{}") if "manifest.sig" in path else ask()

    ref = followed.other()
    followed.forget(ref)
    with followed.fails(unsigned):
        followed.promote(ref)
        followed.until_code("signature")
    followed.versions.rollback()
    followed.wanted, followed.mended = before, time.monotonic()


def _slow() -> proxy.Fault:
    return proxy.Slow(30)


def _other_server() -> proxy.Fault:
    return proxy.answers(200, b"<html>")


_FILES = ("model-versions/get-artifact", "bundle.tar")
_GOES_ON = "goes on with its version"
CASES = (
    Case("several swaps in a row", "answers with each version in turn", _swaps),
    Case("a rollback", "answers with the former version again", _rollback),
    Case(
        "MLflow is down, and meanwhile a version is promoted",
        f"{_GOES_ON}; `unreachable`",
        _mlflow(lambda: proxy.closed, "unreachable", moves=True),
    ),
    Case("MLflow takes 30 s for each answer", f"gives up after 10 s, {_GOES_ON}; `unreachable`", _mlflow(_slow, "unreachable")),
    Case("MLflow answers 500", f"{_GOES_ON}; `server_error`", _mlflow(lambda: proxy.answers(500), "server_error")),
    Case("MLflow answers 403", f"{_GOES_ON}; `credentials`", _mlflow(lambda: proxy.answers(403), "credentials")),
    Case("another server answers in the place of MLflow", f"{_GOES_ON}; `not_mlflow`", _mlflow(_other_server, "not_mlflow")),
    Case("MLflow answers with an old alias", "goes on with the version that the alias names", _old_alias),
    Case("S3 is down when a version is promoted", f"{_GOES_ON}; `ledger` or `server_error`", _s3_down),
    Case(
        "S3 takes 30 s for each object",
        f"gives up after 10 s, {_GOES_ON}; `unreachable`",
        _artifacts(_slow, "unreachable", "get-artifact"),
    ),
    Case("an object is cut off half-way", f"{_GOES_ON}; `unreachable`", _artifacts(lambda: proxy.truncated, "unreachable", *_FILES)),
    Case("a file of a version has other bytes than were registered", f"refuses it, {_GOES_ON}; `digest`", _wrong_bytes),
    Case("a version whose signature is not by the key", f"refuses it, {_GOES_ON}; `signature`", _other_signature),
    *(Case(kind.fault, f"refuses it, {_GOES_ON}; `{kind.code}`", _bad(kind)) for kind in BAD_VERSIONS),
    Case("the disk gets full while a version is downloaded", f"{_GOES_ON}; `disk`", machine.disk_full),
    Case("the memory limit is hit while a second model is loaded", f"refuses it for now, {_GOES_ON}; `resources`", machine.no_memory),
    Case("a version on the disk is damaged", "downloads it again", _damaged_on_disk),
    Case("the worker that polls is killed in the middle of a download", "the other worker answers, and polls from then on", _killed),
    Case("the worker that polls is stopped (SIGSTOP)", "its requests wait, the other worker answers", _stopped),
    Case("the clock is set back by an hour", "follows as before", machine.clock_set_back),
    Case("the alias is moved by hand", f"{_GOES_ON}; `ledger`", _moved_by_hand),
    Case("the alias is moved 50 times in 10 s", "goes on with the version that the ledger has in production", _moved_often),
    Case("one of two replicas is restarted in the middle of a swap", "both follow; the other one answers meanwhile", replicas.restarted),
    Case("a flood of forged webhooks, and a real one replayed", "takes the real one once a worker", webhooks.forged_and_replayed),
    *(Case(*each) for each in candidates.CASES),
    Case("the alias is deleted", f"{_GOES_ON}; `no_alias`", _alias_deleted),
    # Last: all versions that were there are gone after it.
    Case("the registered model is deleted and made anew", f"{_GOES_ON}; `no_model`, then `ledger`", _made_anew),
)
