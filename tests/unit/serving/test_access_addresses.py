"""Where a request comes from, to access: which addresses are local, and what a client without a key is limited by."""

from __future__ import annotations

from pathlib import Path

import pytest

from passerelle.api_keys import make_key
from passerelle.serving.contract import RequestError
from tests.unit.serving.test_access_control import HERE, NO_KEY, THERE, bearer, control, refused


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def test_who_has_no_key_is_limited_by_address(path: Path) -> None:
    of = control(path, auth="off", rate_limit="1/minute")

    def status(peer: str, *forwarded: bytes) -> int:
        headers = [(b"x-forwarded-for", each) for each in forwarded]
        try:
            of.admit(THERE, dict(headers), client=(peer, 1), all_headers=headers)
        except RequestError as error:
            return error.status
        return 200

    assert [status("192.0.2.1"), status("192.0.2.1"), status("192.0.2.2")] == [200, 429, 200]
    assert [status("2001:db8::1"), status("2001:db8::2"), status("2001:db8:0:1::1")] == [200, 429, 200], "one customer is one client"
    assert status("192.0.2.1", b"192.0.2.77") == 429, "without a named proxy, what is forwarded decides nothing"
    of = control(path, auth="off", rate_limit="1/minute", trusted_proxies="10.0.0.7")
    assert [status("10.0.0.7", b"192.0.2.1"), status("10.0.0.7", b"192.0.2.9", b"192.0.2.1"), status("10.0.0.7", b"192.0.2.2")] == [
        200,
        429,
        200,
    ]
    assert [status("10.0.0.8", b"192.0.2.3"), status("10.0.0.8", b"192.0.2.4")] == [200, 429], "another machine is no proxy"


def test_what_comes_through_a_named_proxy_is_not_local(path: Path) -> None:
    """Without the name, a proxy on the same machine would open the service to everybody."""
    token = make_key(path, "agents").token
    of, proxy = control(path, trusted_proxies="127.0.0.1"), ("127.0.0.1", 5_000)
    local = [(b"x-forwarded-for", b"127.0.0.1")]
    assert refused(lambda: of.admit(HERE, dict(local), client=proxy, all_headers=local)) == NO_KEY
    assert refused(lambda: of.admit(HERE, {}, client=proxy)) == NO_KEY
    assert of.admit(HERE, bearer(token), client=proxy)[0] == "agents"
    assert of.admit(("::1", 3_000), {}, client=("::1", 5_000))[0] == "loopback"


@pytest.mark.parametrize(
    ("server", "needed"),
    [(("::ffff:127.0.0.1", 3_000), False), (("::1", 3_000), False), (("2001:db8::1", 3_000), True), (("fe80::1%eth0", 3_000), True),
     (("/run/passerelle.sock", None), True), (("127.0.0.1.sock", None), True)],
)  # fmt: skip
def test_ipv6_loopback_is_loopback_and_a_unix_socket_is_not(path: Path, server: tuple[str, int | None], needed: bool) -> None:
    assert control(path).required(server) is needed
