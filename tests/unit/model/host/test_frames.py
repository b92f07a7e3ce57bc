"""Messages arrive whole or not at all."""

from __future__ import annotations

import io
import struct

import pytest

from passerelle.model.host.frames import read_message, write_message


def test_messages_come_back_and_the_end_is_none() -> None:
    stream = io.BytesIO()
    for message in ({"text": "é\ud800"}, [1, None, 0.5]):
        write_message(stream, message)
    stream.seek(0)
    assert [read_message(stream) for _ in range(3)] == [{"text": "é\ud800"}, [1, None, 0.5], None]


@pytest.mark.parametrize(
    "content", [b"\x00\x00", struct.pack(">I", 9) + b"{}", struct.pack(">I", (256 << 20) + 1), struct.pack(">I", 2) + b"{x"]
)
def test_what_is_cut_short_or_too_long_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):
        read_message(io.BytesIO(content))
