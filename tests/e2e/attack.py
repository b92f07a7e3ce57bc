"""The texts that cost a service the most for their bytes, among those that it accepts, sent by a process of their own."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.rate import send_at

ROOT = Path(__file__).resolve().parents[2]
CHARACTERS = 20_000
SYLLABLES = [chr(code) for code in range(0xAC00, 0xD7A4)]


def dear_texts(characters: int = CHARACTERS) -> list[str]:
    """Return a text of each kind: runs of marks, characters that decompose into many, random words, no space at all."""
    chosen = random.Random(0)  # noqa: S311 - for texts
    return [
        ("e" + "\u0301\u0323" * 15) * (characters // 31),
        "\ufdfa" * (characters // 5),
        " ".join("".join(chosen.choices(SYLLABLES, k=6)) for _ in range(characters // 7)),
        "".join(chosen.choices("abcdefghijklmnopqrstuvwxyzéè", k=characters)),
        "\u0130" * characters,
    ]


def request(path: str, content: object) -> bytes:
    """Return the bytes of a request."""
    body = json.dumps(content, ensure_ascii=False).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def dear_requests() -> list[bytes]:
    """Return them alone, and in batches as large as a body may be."""
    texts = dear_texts()
    # What a batch may hold counts once it is decomposed; a single ligature comes to eighteen characters.
    sizes = [max(len(text.encode()), len(unicodedata.normalize("NFKD", text))) for text in texts]
    records = [[{"text": text}] * (1_000_000 // size) for text, size in zip(texts, sizes, strict=True)]
    batches = [request("/classify/batch", {"records": each}) for each in records]
    return [*(request("/classify", {"text": text}) for text in texts), *batches]


@contextmanager
def attacked(address: str, *, connections: int = 6) -> Iterator[None]:
    """Attack a service as long as the body runs."""
    command = [sys.executable, "-m", "tests.e2e.attack", address, str(connections)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"attacking\n"
        yield
        assert process.poll() is None, "the attack ended by itself"
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    print("attacking", flush=True)  # noqa: T201 - the test waits for it
    asyncio.run(send_at(sys.argv[1], dear_requests(), rate=None, seconds=600.0, connections=int(sys.argv[2])))
