"""The protocol class of one worker's connections."""

from __future__ import annotations

from passerelle.serving.connection import Connection
from passerelle.serving.drain import Drain
from passerelle.serving.heads import AwaitedHeads, HeadLimits, Refused
from passerelle.serving.reading_turns import ReadingTurns


def connection_of(limits: HeadLimits, refused: Refused, drain: Drain) -> type[Connection]:
    """Return the protocol of one worker's connections.

    Args:
        limits: Of each head.
        refused: Counts the refusals that no application sees.
        drain: Of the worker.
    """
    heads, turns = AwaitedHeads(limits.timeout_s), ReadingTurns()
    members = {"limits": limits, "heads": heads, "turns": turns, "refused": staticmethod(refused), "drain": drain}
    return type("Connection", (Connection,), members)
