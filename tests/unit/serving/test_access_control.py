"""Who may ask and how often, decided on the headers: keys read again each second, and a window a key."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from passerelle.api_keys import KeyRing, make_key, read_keys, revoke_key
from passerelle.errors import SettingsError
from passerelle.serving import access as module
from passerelle.serving import rate_limit
from passerelle.serving.access import AccessControl
from passerelle.serving.contract import RequestError
from passerelle.settings import ServiceSettings

HERE, THERE = ("127.0.0.1", 3000), ("10.0.0.7", 3000)
NO_KEY = (401, "unauthorized", "send a valid API key: Authorization: Bearer …", ((b"www-authenticate", b'Bearer realm="passerelle"'),))


class Clock:
    """The seconds that have passed."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=clock, time=clock))
    return clock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def control(path: Path, **settings: Any) -> AccessControl:
    return AccessControl(ServiceSettings.read(keys_file=path, **settings))


def bearer(token: str) -> dict[bytes, bytes]:
    return {b"authorization": b"Bearer " + token.encode()}


def refused(ask: Callable[[], Any]) -> tuple[Any, ...]:
    with pytest.raises(RequestError) as found:
        ask()
    return found.value.status, found.value.code, found.value.message, found.value.headers


@pytest.mark.parametrize(
    ("auth", "host", "expected"),
    [
        ("auto", "127.0.0.1", False),
        ("auto", "127.9.8.7", False),
        ("auto", "::1", False),
        ("auto", "localhost", False),
        ("auto", "10.0.0.7", True),
        ("auto", "0.0.0.0", True),  # noqa: S104
        ("auto", "1127.0.0.1", True),
        ("auto", "127.evil", True),
        ("auto", None, True),
        ("required", "127.0.0.1", True),
        ("required", None, True),
        ("off", "10.0.0.7", False),
        ("off", None, False),
    ],
)
def test_a_key_is_required_away_from_loopback_everywhere_or_nowhere(path: Path, auth: str, host: str | None, expected: bool) -> None:
    assert control(path, auth=auth).required((host, 3000) if host else None) is expected


def test_who_asks_on_loopback_is_named_so_and_needs_no_key_file(path: Path) -> None:
    assert control(path).admit(HERE, {}) == ("loopback", [])
    assert refused(lambda: control(path).admit(THERE, {})) == NO_KEY
    assert control(path, auth="off").admit(THERE, bearer("nonsense")) == ("loopback", [])


def test_the_owner_of_a_key_is_named_wherever_they_ask(path: Path, clock: Clock) -> None:
    token = make_key(path, "agents").token
    of = control(path)
    for server in (THERE, HERE, None):
        assert of.admit(server, bearer(token)) == ("agents", [])
    assert of.admit(HERE, bearer("nonsense")) == ("loopback", [])


def test_the_scheme_is_bearer_in_any_case_and_the_key_may_stand_in_space(path: Path, clock: Clock) -> None:
    token = make_key(path, "agents").token.encode()
    of = control(path)
    for given in (b"bearer " + token, b"BEARER   " + token + b" "):
        assert of.admit(THERE, {b"authorization": given})[0] == "agents"
    for given in (b"", b"Bearer", b"Basic " + token, token, b"Bearer \xff", b"Bearer " + token + b"x", b"Bearer " + token + b" x"):
        assert refused(lambda given=given: of.admit(THERE, {b"authorization": given})) == NO_KEY  # type: ignore[misc]


def test_a_key_that_was_made_or_revoked_counts_after_a_second(path: Path, clock: Clock) -> None:
    first = make_key(path, "first").token
    of = control(path)
    assert of.admit(THERE, bearer(first))[0] == "first"
    revoke_key(path, "first")
    second = make_key(path, "second").token
    clock.now += 1.0
    assert of.admit(THERE, bearer(first))[0] == "first"
    assert refused(lambda: of.admit(THERE, bearer(second))) == NO_KEY
    clock.now += 0.001
    assert refused(lambda: of.admit(THERE, bearer(first))) == NO_KEY
    assert of.admit(THERE, bearer(second))[0] == "second"


def test_a_key_is_looked_up_once_a_second(path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    token, looked_up = make_key(path, "agents").token, []
    owner = KeyRing.owner

    def noted(ring: KeyRing, given: str) -> Any:
        looked_up.append(given)
        return owner(ring, given)

    monkeypatch.setattr(KeyRing, "owner", noted)
    of = control(path)
    for _ in range(5):
        assert of.admit(THERE, bearer(token))[0] == "agents"
    assert looked_up == [token]
    for _ in range(2):
        refused(lambda: of.admit(THERE, bearer("nonsense")))
    assert looked_up == [token, "nonsense", "nonsense"], "what is no key is not remembered"
    clock.now += 1.1
    assert of.admit(THERE, bearer(token))[0] == "agents"
    assert looked_up[3:] == [token]


def test_the_file_is_read_again_only_where_it_changed(path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    token, read = make_key(path, "agents").token, []

    def noted(given: Path) -> Any:
        read.append(given)
        return read_keys(given)

    monkeypatch.setattr(module, "read_keys", noted)
    of = control(path)
    for _ in range(3):
        of.admit(THERE, bearer(token))
        clock.now += 1.1
    assert read == [path]
    os.utime(path, ns=(1, 1))
    of.admit(THERE, bearer(token))
    assert read == [path, path]


def test_keys_that_come_later_count(path: Path, clock: Clock) -> None:
    of = control(path)
    assert refused(lambda: of.admit(THERE, bearer("nonsense"))) == NO_KEY
    token = make_key(path, "agents").token
    clock.now += 1.1
    assert of.admit(THERE, bearer(token))[0] == "agents"
    path.unlink()
    clock.now += 1.1
    assert refused(lambda: of.admit(THERE, bearer(token))) == NO_KEY


NOT_JSON = "not JSON in UTF-8 (Expecting property name enclosed in double quotes: line 1 column 2 (char 1))"


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("{", NOT_JSON),
        ("[]", 'it holds no list under "keys"'),
        ('{"keys": [{}]}', "entry 1: its key_id is missing, or not 12 hexadecimal digits"),
        ("[" * 100_000, "it is nested too deep"),
    ],
)
def test_keys_stay_as_they_were_while_the_file_is_unreadable(
    path: Path, clock: Clock, capsys: pytest.CaptureFixture[str], broken: str, why: str
) -> None:
    token = make_key(path, "agents").token
    of = control(path)
    of.admit(THERE, bearer(token))
    whole, changed = path.read_text(), path.stat().st_mtime_ns
    path.write_text(broken)
    for _ in range(3):
        clock.now += 1.1
        assert of.admit(THERE, bearer(token))[0] == "agents"
        assert refused(lambda: of.admit(THERE, bearer("nonsense"))) == NO_KEY
    assert capsys.readouterr().err == f"the keys stay as they were: the key file {path} is not a list of keys: {why}\n"
    path.write_text(whole)
    os.utime(path, ns=(changed, changed))
    revoke_key(path, "agents")
    os.utime(path, ns=(changed, changed))
    clock.now += 1.1
    assert refused(lambda: of.admit(THERE, bearer(token))) == NO_KEY, "it is read again although it is as old as before"
    path.write_text(broken)
    clock.now += 1.1
    refused(lambda: of.admit(THERE, bearer(token)))
    assert capsys.readouterr().err.count("the keys stay as they were") == 1, "it broke again, and that is said again"


def test_a_pipe_in_place_of_the_file_keeps_nobody_waiting(path: Path, clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    token = make_key(path, "agents").token
    of = control(path)
    of.admit(THERE, bearer(token))
    path.unlink()
    os.mkfifo(path, 0o600)
    clock.now += 1.1
    assert of.admit(THERE, bearer(token))[0] == "agents"
    assert capsys.readouterr().err == f"the keys stay as they were: the key file {path} cannot be read: it is not a regular file\n"


def test_a_file_that_cannot_be_opened_is_said_by_name(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    token = make_key(path, "agents").token
    of = control(path)
    of.admit(THERE, bearer(token))

    def fails(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(module, "read_keys", fails)
    os.utime(path, ns=(1, 1))
    clock.now += 1.1
    assert of.admit(THERE, bearer(token))[0] == "agents"
    assert capsys.readouterr().err == f"the keys stay as they were: {path}: Permission denied\n"


def test_a_file_that_is_broken_from_the_start_is_said_once(path: Path, clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_text("{")
    of = control(path)
    for _ in range(2):
        assert refused(lambda: of.admit(THERE, {})) == NO_KEY
        clock.now += 1.1
    assert capsys.readouterr().err == f"the keys stay as they were: the key file {path} is not a list of keys: {NOT_JSON}\n"


@pytest.fixture
def limited(path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> tuple[AccessControl, str, str]:
    """Access with three requests a minute, and two keys."""
    first, second = (make_key(path, name).token for name in ("first", "second"))
    monkeypatch.setattr(rate_limit, "time", SimpleNamespace(monotonic=clock))
    return control(path, rate_limit="3/minute"), first, second


def test_each_key_has_a_limit_of_its_own_and_is_told(limited: tuple[AccessControl, str, str], clock: Clock) -> None:
    of, first, second = limited

    def told(remaining: int, reset_s: int) -> list[tuple[bytes, bytes]]:
        return [(b"ratelimit-limit", b"3"), (b"ratelimit-remaining", b"%d" % remaining), (b"ratelimit-reset", b"%d" % reset_s)]

    assert [of.admit(THERE, bearer(first)) for _ in range(3)] == [("first", told(left, 60)) for left in (2, 1, 0)]
    clock.now += 19.6
    too_often = (429, "rate_limited", "this key has asked too often", (*told(0, 40), (b"retry-after", b"40")))
    assert refused(lambda: of.admit(THERE, bearer(first))) == too_often
    assert of.admit(THERE, bearer(second)) == ("second", told(2, 60))
    assert of.admit(HERE, {}) == ("loopback", told(2, 60))
    clock.now += 59.9
    assert of.admit(THERE, bearer(second)) == ("second", told(1, 1)), "never told to come back at once"


def test_who_has_no_key_uses_up_nobodys_limit(limited: tuple[AccessControl, str, str]) -> None:
    of, first, _ = limited
    for _ in range(5):
        assert refused(lambda: of.admit(THERE, {})) == NO_KEY
    assert of.admit(THERE, bearer(first))[0] == "first"


def test_a_rate_limit_that_is_none_is_refused(path: Path) -> None:
    with pytest.raises(SettingsError, match="PASSERELLE_RATE_LIMIT is not a rate limit") as found:
        control(path, rate_limit="often")
    assert found.value.hint == "export PASSERELLE_RATE_LIMIT=600/minute\nunset PASSERELLE_RATE_LIMIT"
    assert control(path, rate_limit="").admit(HERE, {}) == ("loopback", [])
