"""Whose bytes are read next, where many requests arrive in pieces.

An event loop reads every connection that has bytes before it does anything else. Two hundred clients that send one byte each at the same
time would keep an honest request waiting for all of them; so only a few connections with half a request are read at a time. Honest clients
send head and body in two writes, some in three, and wait for no turn.
"""

from __future__ import annotations

import asyncio
from itertools import islice

from uvicorn.protocols.http.flow_control import FlowControl

#: Connections with half a request that are read in a turn, and its length: the 200th has waited for 50 ms. To read a piece of a head
#: takes 14 µs, so that a turn takes less than an honest request.
_AT_A_TIME, _TURN_S = 8, 0.002
#: Pieces of a request after which its connection is still read at once: it costs less to read two than to answer.
_FREE_PIECES = 2


class TurnFlow(FlowControl):
    """uvicorn's flow control of a connection that may have to wait for its turn to be read."""

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self._waits = False
        #: Pieces of the request that is being read, without the last one.
        self.pieces = 0

    def resume_reading(self) -> None:
        """Read on, unless the connection waits for its turn."""
        if not self._waits:
            super().resume_reading()
        else:
            self.read_paused = False

    def pause_reading(self) -> None:
        """Read no more."""
        if not self._waits:
            super().pause_reading()
        else:
            self.read_paused = True

    def wait(self) -> None:
        """Read no more until it is this connection's turn."""
        if not self._waits and not self._transport.is_closing():
            self._waits = True
            if not self.read_paused:
                self._transport.pause_reading()

    def go_on(self) -> None:
        """Read as if there were no turns."""
        if self._waits:
            self._waits = False
            if not self.read_paused and not self._transport.is_closing():
                self._transport.resume_reading()


class ReadingTurns:
    """The connections of a worker with half a request; a few of them are read without turns, and more a few at a time.

    Args:
        at_a_time: Connections that are read in a turn.
        turn_s: Length of a turn.
        free_pieces: Pieces of each request that are read without turns.
    """

    def __init__(self, at_a_time: int = _AT_A_TIME, turn_s: float = _TURN_S, free_pieces: int = _FREE_PIECES) -> None:
        self._at_a_time = at_a_time
        self._turn_s = turn_s
        self._free_pieces = free_pieces
        self._half: dict[TurnFlow, None] = {}
        self._in_turn: list[TurnFlow] = []
        self._taking_turns = False

    def begin(self, flow: TurnFlow) -> None:
        """Take a connection of which a piece of a request was just read."""
        flow.pieces += 1
        if flow.pieces <= self._free_pieces:
            return
        self._half.setdefault(flow)
        if len(self._half) <= self._at_a_time:
            return
        flow.wait()
        if not self._taking_turns:
            self._taking_turns = True
            asyncio.get_running_loop().call_later(self._turn_s, self._next)

    def end(self, flow: TurnFlow) -> None:
        """Forget a connection: its request is complete, refused or gone."""
        flow.pieces = 0
        if flow in self._half:
            del self._half[flow]
            flow.go_on()

    def _next(self) -> None:
        for each in self._in_turn:
            if each in self._half:
                each.wait()
        self._taking_turns = len(self._half) > self._at_a_time
        self._in_turn = list(islice(self._half, self._at_a_time))
        for each in self._in_turn:
            del self._half[each]
            self._half[each] = None
            each.go_on()
        if self._taking_turns:
            asyncio.get_running_loop().call_later(self._turn_s, self._next)
