"""Which deliveries of a webhook are taken: each genuine one once, within five minutes of its timestamp, and never too many at once."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from passerelle.errors import SettingsError
from passerelle.serving.contract import RequestError
from passerelle.serving.following import webhook as module
from passerelle.serving.following.webhook import Event, Webhooks, read_secret
from tests.unit.serving.following.deliveries import BODY, SECRET, signed

NOW = 1_795_000_000
CREATED = Event("model_version_alias", "created")


class Clocks:
    """The clock on the wall, and the one that is never set."""

    def __init__(self) -> None:
        self.wall, self.steady = float(NOW), 50.0

    def wait(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def hooks(clocks: Clocks) -> Webhooks:
    return Webhooks(SECRET, lambda: clocks.wall, lambda: clocks.steady)


def take(hooks: Webhooks, headers: dict[bytes, bytes], body: bytes = BODY) -> Event:
    return hooks.check(hooks.begin(headers), body)


def refused(call: Callable[[], Any]) -> tuple[int, str]:
    with pytest.raises(RequestError) as found:
        call()
    return found.value.status, found.value.code


FORGED, STALE, REPLAYED, MALFORMED = (401, "unauthorized"), (401, "stale"), (409, "replayed"), (400, "malformed_webhook")


def test_what_mlflow_signs_is_taken(hooks: Webhooks) -> None:
    headers = {
        b"x-mlflow-delivery-id": b"0b54fa1d-1f33-4c04-a8ee-3a8b4d1d1c0e",
        b"x-mlflow-timestamp": str(NOW).encode(),
        b"x-mlflow-signature": b"v1,waALyOCCpHBIdCmE+sxMP/FxFVw8RcmRw0lurJ/6q1I=",  # MLflow 3.17.2's own
    }
    assert take(hooks, headers) == CREATED


def test_any_event_is_taken_and_none_names_a_version(hooks: Webhooks) -> None:
    body = b'{"entity": "prompt", "action": "deleted", "data": {"version": "9"}}'
    assert take(hooks, signed(str(NOW), body), body) == Event("prompt", "deleted")


def changed(headers: dict[bytes, bytes], name: str, value: bytes | None) -> dict[bytes, bytes]:
    rest = {key: each for key, each in headers.items() if key != f"x-mlflow-{name}".encode()}
    return rest if value is None else {**rest, f"x-mlflow-{name}".encode(): value}


def test_a_forged_delivery_is_refused_whatever_was_changed(hooks: Webhooks) -> None:
    good = signed(str(NOW))
    signature = good[b"x-mlflow-signature"]
    other = signed(str(NOW), secret=SECRET + b"x", delivery_id=good[b"x-mlflow-delivery-id"].decode())
    for headers in (
        changed(good, "delivery-id", b"another"),
        changed(good, "timestamp", str(NOW + 1).encode()),
        changed(good, "signature", signature[:-1]),
        changed(good, "signature", signature + b"="),
        changed(good, "signature", b"v1,"),
        changed(good, "signature", signature + b" " + signature),
        other,
    ):
        assert refused(lambda headers=headers: take(hooks, headers)) == FORGED  # type: ignore[misc]
    assert refused(lambda: take(hooks, good, BODY + b" ")) == FORGED
    assert refused(lambda: take(hooks, good, b"")) == FORGED
    assert take(hooks, good) == CREATED, "what was refused did not use the delivery up"


@pytest.mark.parametrize("signature", [None, b"", b"v1", b"v2,AAAA", b"sha256=00", b" v1,AAAA"])
def test_another_signature_scheme_is_refused_before_the_body_is_read(hooks: Webhooks, signature: bytes | None) -> None:
    assert refused(lambda: hooks.begin(changed(signed(str(NOW)), "signature", signature))) == FORGED


@pytest.mark.parametrize("name", [None, b"", b"-", b"a.1795000000", b"a b", b"\xe9", b"a" * 65])
def test_an_id_that_is_not_mlflows_is_refused(hooks: Webhooks, name: bytes | None) -> None:
    assert refused(lambda: hooks.begin(changed(signed(str(NOW)), "delivery-id", name))) == MALFORMED


@pytest.mark.parametrize("timestamp", [None, b"", b"-1", b"1e9", b"1795000000.5", b" 1795000000", b"0" * 13, b"\xb2"])
def test_a_timestamp_that_is_no_number_of_seconds_is_refused(hooks: Webhooks, timestamp: bytes | None) -> None:
    assert refused(lambda: hooks.begin(changed(signed(str(NOW)), "timestamp", timestamp))) == MALFORMED


def test_an_id_and_a_timestamp_of_the_greatest_length_are_taken(hooks: Webhooks) -> None:
    assert take(hooks, signed("00" + str(NOW), delivery_id="a" * 64)) == CREATED


@pytest.mark.parametrize("apart", [-300, 300])
def test_a_delivery_is_taken_within_five_minutes_on_both_sides(hooks: Webhooks, apart: int) -> None:
    assert take(hooks, signed(str(NOW + apart))) == CREATED


@pytest.mark.parametrize("apart", [-301, 301, -NOW, 10**11])
def test_a_late_or_early_delivery_is_refused_before_the_body_is_read(hooks: Webhooks, apart: int) -> None:
    assert refused(lambda: hooks.begin(signed(str(NOW + apart)))) == STALE


def test_a_delivery_whose_body_came_too_late_is_refused(hooks: Webhooks, clocks: Clocks) -> None:
    headers = signed(str(NOW - 300))
    begun = hooks.begin(headers)
    clocks.wait(0.1)
    assert refused(lambda: hooks.check(begun, BODY)) == STALE


def test_a_replay_is_refused_as_long_as_its_timestamp_is_good(hooks: Webhooks, clocks: Clocks) -> None:
    early = signed(str(NOW + 300))
    take(hooks, early)
    for seconds in (0, 1, 298.9, 300):
        clocks.wait(seconds)
        assert refused(lambda: hooks.begin(early)) == REPLAYED
    clocks.wait(0.2)
    assert refused(lambda: hooks.begin(early)) == REPLAYED, "known, however late"


def test_of_two_copies_that_are_read_together_one_is_taken(hooks: Webhooks) -> None:
    headers = signed(str(NOW))
    first, second = hooks.begin(headers), hooks.begin(headers)
    assert hooks.check(second, BODY) == CREATED
    assert refused(lambda: hooks.check(first, BODY)) == REPLAYED


def test_a_clock_that_is_set_back_makes_no_delivery_new_again(hooks: Webhooks, clocks: Clocks) -> None:
    captured = signed(str(NOW))
    take(hooks, captured)
    clocks.wait(86_400)
    assert take(hooks, signed(str(NOW + 86_400))) == CREATED
    clocks.wall = NOW + 60
    assert refused(lambda: hooks.begin(captured)) == REPLAYED
    assert take(hooks, signed(str(NOW + 60))) == CREATED, "MLflow's clock was set back too"


def test_what_was_forgotten_stays_refused_after_the_clock_was_set_back(
    hooks: Webhooks, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_REMEMBERED", 2)
    captured = [signed(str(NOW + 5)), signed(str(NOW))]
    for headers in captured:
        take(hooks, headers)
    clocks.wait(600.1)
    late = NOW + 600
    for number in range(2):
        take(hooks, signed(str(late + number)))
    clocks.wall = float(NOW)
    for headers in captured:
        assert refused(lambda headers=headers: hooks.begin(headers)) == REPLAYED  # type: ignore[misc]
    assert refused(lambda: hooks.begin(signed(str(NOW + 5)))) == REPLAYED


def test_no_more_than_so_many_are_remembered_and_none_is_forgotten_too_early(
    hooks: Webhooks, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_REMEMBERED", 3)
    for _ in range(3):
        take(hooks, signed(str(NOW)))
    fourth = signed(str(NOW + 300))
    with pytest.raises(RequestError) as found:
        take(hooks, fourth)
    assert (found.value.status, found.value.code, found.value.headers) == (503, "overloaded", ((b"retry-after", b"60"),))
    clocks.steady += 600
    assert refused(lambda: take(hooks, fourth)) == (503, "overloaded")
    clocks.steady += 0.1
    assert take(hooks, fourth) == CREATED, "what was refused was not used up"
    assert refused(lambda: hooks.begin(fourth)) == REPLAYED
    for _ in range(2):
        take(hooks, signed(str(NOW + 1)))
    assert refused(lambda: take(hooks, signed(str(NOW + 1)))) == (503, "overloaded"), "one was forgotten for each that was taken"


def test_a_flood_is_refused_before_a_body_is_read_and_ends_after_a_second(hooks: Webhooks, clocks: Clocks) -> None:
    good = signed(str(NOW))
    for number in range(module.MOST_CHECKED):
        hooks.begin(changed(good, "delivery-id", b"forged-%d" % number))
        clocks.wait(1 / 64)
    with pytest.raises(RequestError) as found:
        hooks.begin(good)
    assert (found.value.status, found.value.code, found.value.headers) == (429, "rate_limited", ((b"retry-after", b"1"),))
    clocks.steady += 1 - module.MOST_CHECKED / 64
    assert take(hooks, good) == CREATED, "the first of the flood is a second ago"
    assert refused(lambda: hooks.begin(signed(str(NOW)))) == (429, "rate_limited")


def test_what_is_refused_by_its_headers_takes_no_place_in_the_window(hooks: Webhooks) -> None:
    for _ in range(module.MOST_CHECKED + 1):
        assert refused(lambda: hooks.begin(signed(str(NOW - 301)))) == STALE
        assert refused(lambda: hooks.begin({})) == MALFORMED
    assert take(hooks, signed(str(NOW))) == CREATED


def test_a_flood_goes_on_for_a_second_however_the_clock_is_set(hooks: Webhooks, clocks: Clocks) -> None:
    for _ in range(module.MOST_CHECKED):
        hooks.begin(signed(str(NOW)))
    clocks.wall += 200
    assert refused(lambda: hooks.begin(signed(str(NOW)))) == (429, "rate_limited")


def test_a_huge_body_is_refused_without_a_digest_of_it(hooks: Webhooks, monkeypatch: pytest.MonkeyPatch) -> None:
    largest = json.dumps({"entity": "e", "action": "a", "filler": ""}).encode()
    largest += b" " * (65_536 - len(largest))
    assert take(hooks, signed(str(NOW), largest), largest) == Event("e", "a")
    begun = hooks.begin(signed(str(NOW), largest + b" "))
    monkeypatch.delattr(hmac, "new")
    assert refused(lambda: hooks.check(begun, largest + b" ")) == (413, "body_too_large")


GARBAGE = [b"", b"{", b"null", b"[]", b'"text"', b"{}", b'{"entity": "e"}', b'{"action": "a"}', b'{"entity": "e", "action": 1}',
           b'{"entity": null, "action": "a"}', b"\xff", b"[" * 60_000]  # fmt: skip


@pytest.mark.parametrize("body", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_is_refused_even_where_it_is_signed(hooks: Webhooks, body: bytes) -> None:
    assert refused(lambda: take(hooks, signed(str(NOW), body), body)) == MALFORMED


def test_a_signature_is_compared_in_constant_time(hooks: Webhooks, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def compare(left: bytes, right: bytes) -> bool:
        compared.append((left, right))
        return True

    monkeypatch.setattr(hmac, "compare_digest", compare)
    take(hooks, headers := signed(str(NOW)))
    assert compared == [(headers[b"x-mlflow-signature"],) * 2]


def test_a_secret_is_read_without_the_white_space_around_it(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("  0123456789abcdef\n")
    assert read_secret(path) == b"0123456789abcdef"


def test_a_secret_that_is_missing_or_short_is_said_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    for write, words in ((None, "cannot be read: No such file"), (" \n", "shorter than 16"), ("0123456789abcde\n", "shorter than 16")):
        if write is not None:
            path.write_text(write)
        with pytest.raises(SettingsError, match=words) as found:
            read_secret(path)
        assert "0123" not in found.value.message
        assert str(found.value.hint).startswith("passerelle deploy")


def test_the_limits_are_those_that_the_documentation_names() -> None:
    assert (module.MOST_CHECKED, module.MOST_REMEMBERED, module.MAX_BODY_BYTES) == (20, 1_024, 65_536)
