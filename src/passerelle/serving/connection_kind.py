"""The protocol class of one worker's connections."""

from __future__ import annotations

from passerelle.serving.connection import Connection
from passerelle.serving.drain import Drain
from passerelle.serving.heads import AwaitedHeads, HeadLimits, Refused


def connection_of(limits: HeadLimits, refused: Refused, drain: Drain) -> type[Connection]:
    """Return the protocol of one worker's connections.

    Args:
        limits: Of each head.
        refused: Counts the refusals that no application sees.
        drain: Of the worker.
    """
    members = {"limits": limits, "heads": AwaitedHeads(limits.timeout_s), "refused": staticmethod(refused), "drain": drain}
    return type("Connection", (Connection,), members)
