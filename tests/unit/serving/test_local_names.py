"""A web page that lets its name stand for this machine, or sends requests to it, gets nothing from a service without keys on loopback."""

from __future__ import annotations

from pathlib import Path

import pytest

from passerelle.api_keys import make_key
from passerelle.errors import SettingsError
from passerelle.serving.contract import RequestError
from passerelle.serving.local_names import LocalNames
from tests.unit.serving.test_access_control import HERE, THERE, bearer, control, refused


def status(headers: dict[bytes, bytes], names: LocalNames | None = None) -> int:
    try:
        (names or LocalNames()).check(headers)
    except RequestError as error:
        return error.status
    return 200


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (b"localhost \t", 200),
        (b"localhost", 200), (b"LOCALHOST:3000", 200), (b"localhost.", 200), (b"127.0.0.1:3000", 200), (b"[::1]:3000", 200),
        (b"192.0.2.7:3000", 200),  # an address is looked up nowhere
        (b"evil.example", 421), (b"evil.example:3000", 421), (b"localhost.evil.example", 421), (b"127.0.0.1.evil.example", 421),
        (b"127.0.0.1@evil.example", 421), (b"localhost:3000:evil", 421), (b"", 421), (b"[::1", 421), (b"\xff", 421), (b"a" * 9_000, 421),
        (b"localhost/", 421), (b"localhost,evil.example", 421), (b"2130706433", 421), (b"0x7f.1", 421),
    ],
)  # fmt: skip
def test_a_host_is_this_machine_or_refused(host: bytes, expected: int) -> None:
    assert status({b"host": host}) == expected


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (b"http://localhost:3000", 200), (b"http://127.0.0.1:8888", 200), (b"http://[::1]:3000", 200), (b"http://192.0.2.7:3000", 200),
        (b"https://evil.example", 403), (b"null", 403), (b"", 403), (b"http://192.0.2.8", 403), (b"http://localhost.evil.example", 403),
    ],
)  # fmt: skip
def test_a_page_of_another_site_sends_nothing(origin: bytes, expected: int) -> None:
    assert status({b"host": b"192.0.2.7:3000", b"origin": origin}) == expected


def test_a_setting_adds_names_and_holds_nothing_else() -> None:
    names = LocalNames(" classifier.example, Host.Docker.Internal ")
    assert status({b"host": b"classifier.example:3000", b"origin": b"https://classifier.example"}, names) == 200
    assert status({b"host": b"host.docker.internal:3000"}, names) == 200
    assert status({b"host": b"other.example"}, names) == 421
    assert status({}, names) == 200
    for wrong in ("*", "http://a", "a:3000", "a b", "-"):
        with pytest.raises(SettingsError, match="PASSERELLE_ALLOWED_HOSTS"):
            LocalNames(wrong)


def test_only_requests_that_need_no_key_because_they_are_local_are_checked(tmp_path: Path) -> None:
    foreign = {b"host": b"evil.example"}
    token = make_key(path := tmp_path / "keys.json", "agents").token
    of = control(path)
    assert refused(lambda: of.admit(HERE, foreign))[:2] == (421, "foreign_host")
    assert refused(lambda: of.admit(HERE, {**foreign, **bearer("nonsense")}))[:2] == (421, "foreign_host")
    assert refused(lambda: of.check_names(HERE, foreign))[0] == 421
    assert of.admit(HERE, {**foreign, **bearer(token)})[0] == "agents", "no page knows a key"
    assert of.admit(THERE, {**foreign, **bearer(token)})[0] == "agents"
    of.check_names(THERE, foreign)
    assert control(path, auth="off").admit(HERE, foreign)[0] == "loopback", "keys were switched off on purpose, as behind a proxy"
    assert control(path, allowed_hosts="evil.example").admit(HERE, foreign)[0] == "loopback"
    named = control(path, trusted_proxies="127.0.0.1")
    named.check_names(HERE, foreign, ("127.0.0.1", 5_000))  # the open pages, through a proxy under a public name
