"""What clients send by mistake or on purpose, as hypothesis strategies, and a bare ASGI client that sends it cut anywhere."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from passerelle.serving.endpoint import ClassifyEndpoint

#: Stands in what is sent as a value; no answer may hold it.
SECRET = "monsecretadressé"
JSON_TYPE = (b"content-type", b"application/json")


def text_body(value: Any) -> bytes:
    return json.dumps({"text": value}).encode()


@st.composite
def mutated(draw: st.DrawFn, good: tuple[bytes, ...]) -> bytes:
    """A good body with bytes taken out, put in, changed or said twice."""
    body = bytearray(draw(st.sampled_from(good)))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(body)))
        match draw(st.sampled_from(("insert", "delete", "change", "twice", "cut"))):
            case "insert":
                body[place:place] = draw(st.one_of(st.binary(max_size=6), st.sampled_from(FRAGMENTS)))
            case "delete":
                del body[place : place + draw(st.integers(1, 8))]
            case "change":
                body[place : place + 1] = draw(st.binary(min_size=1, max_size=1))
            case "twice":
                body[place:place] = body[: draw(st.integers(0, len(body)))]
            case _:
                del body[place:]
    return bytes(body)


FRAGMENTS = (
    b'"', b"\\", b"\\u0000", b"\\ud800", b"\\udc00", b"\\u00", b"\x00", b"\xed\xa0\x80", b"\xff", b"\xc0\xaf", b"\xf4\x90\x80\x80",
    b"\xef\xbb\xbf", b"NaN", b"-Infinity", b"1e999", b"-0", b"01", b"[", b"]", b"{", b"}", b",", b":", b"//", b"/**/", b"null", b"\r\n\r\n",
)  # fmt: skip


def nested() -> st.SearchStrategy[bytes]:
    """Lists and objects inside each other, closed or not, alone or as the text."""

    def deep(kind: bytes, depth: int, closed: bool, inside: bool) -> bytes:
        opening, closing = (b"[", b"]") if kind == b"[" else (b'{"text":', b"}")
        body = opening * depth + (b"1" + closing * depth if closed else b"")
        return b'{"text": ' + body + b"}" if inside else body

    return st.builds(deep, st.sampled_from((b"[", b"{")), st.sampled_from((1, 2, 127, 128, 129, 255, 1_000)), st.booleans(), st.booleans())


def numbers() -> st.SearchStrategy[bytes]:
    """Numbers that no machine type holds, and those at its edges."""
    digits = st.integers(1, 1_500).map(lambda count: b"9" * count)
    powers = st.integers(-5_000, 5_000).map(lambda power: b"1e%d" % power)
    edges = st.sampled_from([b"%d" % (sign * 2**power + off) for sign in (1, -1) for power in (31, 32, 53, 63, 64) for off in (-1, 0, 1)])
    odd = st.sampled_from((b"-0", b"-0.0", b"1.7976931348623157e308", b"5e-324", b"1e308", b"-1e308", b"0." + b"0" * 400 + b"1", b"1.0"))
    return st.one_of(digits, powers, edges, odd)


def encoded() -> st.SearchStrategy[bytes]:
    """Good JSON in an encoding that is not UTF-8, or with a mark before it."""
    encodings = ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "latin-1", "cp1252", "utf-7", "cp037")
    texts = st.sampled_from((SECRET, "né", "a\x00b", "\ufeffa", "\u202egauche", "\U0001f926\u200d♂️", "e\u0301" * 10))
    dumped = st.tuples(texts, st.booleans()).map(lambda pair: json.dumps({"text": pair[0]}, ensure_ascii=pair[1]))
    return st.tuples(dumped, st.sampled_from(encodings)).map(lambda pair: pair[0].encode(pair[1], "replace"))


def escapes() -> st.SearchStrategy[bytes]:
    """A text of \\u escapes, lone halves of pairs among them."""
    units = st.one_of(st.integers(0, 0xFFFF), st.integers(0xD800, 0xDFFF), st.sampled_from((0, 8, 0x20, 0xA0, 0xFEFF, 0xFFFF)))
    return st.lists(units, max_size=20).map(lambda found: b'{"text": "' + b"".join(b"\\u%04x" % unit for unit in found) + b'"}')


def twice() -> st.SearchStrategy[bytes]:
    """The same key more than once, with values of any kind."""
    values = st.lists(st.sampled_from((f'"{SECRET}"'.encode(), b'""', b"1", b"null", b"[]", b'"b"')), min_size=2, max_size=5)
    keys = st.sampled_from((b'"text"', b'"\\u0074ext"', b'"records"'))
    return st.tuples(keys, values).map(lambda pair: b"{" + b",".join(pair[0] + b":" + value for value in pair[1]) + b"}")


def odd_values() -> st.SearchStrategy[bytes]:
    """JSON of any shape, and a text of any JSON value."""
    leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30), st.just(SECRET))
    keys = st.one_of(st.sampled_from(("text", "records", "")), st.text(max_size=5))
    values = st.recursive(
        leaves, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4)), max_leaves=8
    )
    return st.one_of(values.map(lambda value: json.dumps(value).encode()), values.map(text_body))


def bodies(good: tuple[bytes, ...]) -> st.SearchStrategy[bytes]:
    """All of these."""
    in_text = numbers().map(lambda number: b'{"text": ' + number + b"}")
    return st.one_of(mutated(good), st.binary(max_size=200), nested(), numbers(), in_text, encoded(), escapes(), twice(), odd_values())


@dataclass
class Answer:
    """What the application sent; status 0 when it sent nothing."""

    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""
    messages: list[str] = field(default_factory=list)


async def send_raw(app: ClassifyEndpoint, path: str, incoming: list[dict[str, Any]], headers: list[tuple[bytes, bytes]]) -> Answer:
    """Hand the messages to the application one by one, and return what it sent.

    Raises:
        Whatever the application lets out.
        AssertionError: It asks for more than a server would give.
    """
    answer, left = Answer(), iter(incoming)

    async def receive() -> dict[str, Any]:
        message = next(left, None)
        assert message is not None, "the application waits for more than was announced"
        return message

    async def send(message: Any) -> None:
        answer.messages.append(message["type"])
        answer.status = message.get("status", answer.status)
        answer.headers.update(dict(message.get("headers", [])))
        answer.body += message.get("body", b"")

    scope = {"type": "http", "method": "POST", "path": path, "server": ("127.0.0.1", 3000), "headers": headers}
    await app(scope, receive, send)
    return answer


def messages(body: bytes, cuts: list[int], *, complete: bool = True) -> list[dict[str, Any]]:
    """Return the body as a server hands it on, cut at these places; a client that leaves before the end when not `complete`."""
    places = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    parts: list[dict[str, Any]] = [{"type": "http.request", "body": body[begin:end], "more_body": True} for begin, end in pairwise(places)]
    if complete:
        parts[-1]["more_body"] = False
        return parts
    return [*parts[:-1], {"type": "http.disconnect"}]
