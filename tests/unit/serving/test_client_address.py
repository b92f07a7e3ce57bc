"""Which address counts: the connection's, unless a proxy is named; then the last hop that is no such proxy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerelle.errors import SettingsError
from passerelle.serving.client_address import Proxies, address_of, client_name

PROXIES = Proxies("10.0.0.0/8, fd00::/8, 127.0.0.1, unix")
XFF, FORWARDED = b"x-forwarded-for", b"forwarded"


def client(*headers: tuple[bytes, bytes]) -> str:
    return client_name(PROXIES.client_of([(b"host", b"x"), *headers]))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"192.0.2.1", "192.0.2.1"),
        (b"127.0.0.1, 192.0.2.1", "192.0.2.1"),
        (b"198.51.100.7, 192.0.2.1, 10.1.1.1", "192.0.2.1"),
        (b"192.0.2.1:4711", "192.0.2.1"),
        (b"[2001:db8:1:2:3::4]:443", "2001:db8:1:2::/64"),
        (b"[2001:db8:1:2:3::4]", "2001:db8:1:2::/64"),
        (b"2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        (b"::ffff:192.0.2.1", "192.0.2.1"),
        (b"10.1.1.1", "10.1.1.1"),
        (b"10.9.9.9, 10.1.1.1", "10.9.9.9"),
        (b"192.0.2.1, garbage", "unknown"),
        (b"garbage, 192.0.2.1", "192.0.2.1"),
        (b"192.0.2.1, unknown, 10.1.1.1", "unknown"),
        (b"192.0.2.1,", "unknown"),
        (b"", "unknown"),
        (b"192.0.2.1\xff", "unknown"),
        (b"999.1.1.1", "unknown"),
        (b"1" * 4_000, "unknown"),
        (b"192.0.2.9, " * 2_000 + b"192.0.2.1", "192.0.2.1"),
        (b"192.0.2.9, " + b"10.1.1.1, " * 2_000 + b"10.1.1.1", "10.1.1.1"),
    ],
)
def test_the_last_hop_that_is_no_proxy_counts(value: bytes, expected: str) -> None:
    assert client((XFF, value)) == expected


def test_several_headers_are_one_list_in_their_order() -> None:
    assert client((XFF, b"192.0.2.9"), (XFF, b"192.0.2.1"), (XFF, b"10.1.1.1")) == "192.0.2.1"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"for=192.0.2.1", "192.0.2.1"),
        (b'for=192.0.2.9, For="192.0.2.1:80";proto=https;by=10.1.1.1', "192.0.2.1"),
        (b'proto=https;for="[2001:db8:1:2::4]:443", for=10.1.1.1', "2001:db8:1:2::/64"),
        (b"for=_hidden", "unknown"),
        (b"proto=https", "unknown"),
        (b'for="192.0.2.1', "unknown"),
    ],
)
def test_the_standard_header_counts_likewise(value: bytes, expected: str) -> None:
    assert client((FORWARDED, value)) == expected


def test_two_headers_that_contradict_each_other_say_nothing() -> None:
    """A proxy sets one of them and passes the other on as the client sent it."""
    assert client((XFF, b"192.0.2.1"), (FORWARDED, b"for=198.51.100.7")) == "unknown"
    assert client((XFF, b"192.0.2.1"), (FORWARDED, b"for=192.0.2.1")) == "192.0.2.1"
    assert client() == "unknown"


def test_who_is_named_is_trusted_and_nobody_else() -> None:
    assert not Proxies("")
    assert [PROXIES.trusts(address_of(host)) for host in ("10.2.3.4", "11.0.0.1", "fd00::1", "::1", "::ffff:10.0.0.1")] == [
        True, False, True, False, True,
    ]  # fmt: skip
    assert PROXIES.trusts(None)
    assert not Proxies("10.0.0.0/8").trusts(None), "a Unix socket is trusted by its name alone"


@pytest.mark.parametrize("text", ["everyone", "10.0.0.0/8,*", "10.0.0.1/8", "10.0.0"])
def test_what_names_no_proxy_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="PASSERELLE_TRUSTED_PROXIES names something") as found:
        Proxies(text)
    assert found.value.hint is not None
    assert found.value.hint.startswith("export PASSERELLE_TRUSTED_PROXIES=")


@given(st.lists(st.tuples(st.sampled_from([XFF, FORWARDED]), st.binary(max_size=200)), max_size=4))
def test_whatever_is_sent_names_an_address_or_nobody(headers: list[tuple[bytes, bytes]]) -> None:
    """What a client sends is never what it is counted by, unless it is an address."""
    name = client(*headers)
    assert name == "unknown" or address_of(name.removesuffix("/64")) is not None
