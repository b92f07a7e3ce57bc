"""Many requests that arrive in pieces: a few connections are read at a time, and no piece is lost."""

from __future__ import annotations

import asyncio
from typing import Any

from passerelle.serving.heads import rest_of_body
from passerelle.serving.reading_turns import ReadingTurns, TurnFlow
from tests.unit.serving.connection_server import read_all, serving, statuses

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Transport:
    """Notes whether it is read."""

    def __init__(self) -> None:
        self.read = True

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        assert self.read
        self.read = False

    def resume_reading(self) -> None:
        assert not self.read
        self.read = True


def flow_of() -> tuple[TurnFlow, Transport]:
    transport: Any = Transport()
    return TurnFlow(transport), transport


def test_no_more_than_a_few_are_read_at_a_time_and_each_gets_its_turn() -> None:
    async def go() -> None:
        turns = ReadingTurns(at_a_time=2, turn_s=0, free_pieces=0)
        flows = [flow_of() for _ in range(9)]
        for flow, _ in flows:
            turns.begin(flow)
        seen: set[int] = set()
        for _ in range(12):
            await asyncio.sleep(0)
            reading = [place for place, (_, transport) in enumerate(flows) if transport.read]
            assert len(reading) <= 4  # the first two are read until something of theirs comes
            for place in reading:
                turns.begin(flows[place][0])
            seen |= set(reading)
        assert seen == set(range(9))
        for flow, _ in flows[:7]:
            turns.end(flow)
        for _ in range(3):
            await asyncio.sleep(0)
        assert all(transport.read for _, transport in flows)

    asyncio.run(go())


def test_a_request_in_two_or_three_writes_waits_for_no_turn() -> None:
    """As Python's http.client, which sends head and body by themselves, at 64 connections one request after the other."""

    async def go() -> None:
        turns = ReadingTurns(at_a_time=2, turn_s=3_600)
        flows = [flow_of() for _ in range(64)]
        for _ in range(3):
            for flow, transport in flows:
                turns.begin(flow)
                turns.begin(flow)
                assert transport.read
                turns.end(flow)
        for flow, _ in flows:
            for _ in range(3):
                turns.begin(flow)
        assert sum(transport.read for _, transport in flows) == 2, "byte by byte, each waits for its turn"

    asyncio.run(go())


def test_who_waits_for_its_turn_is_read_again_only_when_nothing_else_pauses_it() -> None:
    flow, transport = flow_of()
    flow.pause_reading()
    flow.wait()
    flow.go_on()
    assert not transport.read
    flow.wait()
    flow.resume_reading()
    assert not transport.read
    flow.pause_reading()
    flow.resume_reading()
    flow.go_on()
    assert transport.read


def test_heads_that_come_byte_by_byte_are_all_answered() -> None:
    async def go() -> None:
        async with serving() as (_server, port):
            both = [await asyncio.open_connection("127.0.0.1", port) for _ in range(40)]
            for place in range(len(HEAD)):
                for _, writer in both:
                    writer.write(HEAD[place : place + 1])
                await asyncio.sleep(0)
            for reader, writer in both:
                assert statuses(await read_all(reader, 1)) == [200]
                writer.close()

    asyncio.run(go())


def test_the_rest_of_a_body_is_known_where_its_length_is_given() -> None:
    assert rest_of_body([(b"host", b"x"), (b"content-length", b"100")], 40) == 60
    assert rest_of_body([(b"transfer-encoding", b"chunked")], 40) == 0
    assert rest_of_body([(b"host", b"x")], 0) == 0
