"""The events of a command of several stages: each stage as it begins, and with its result as it ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

_R = TypeVar("_R")


@dataclass(frozen=True)
class Began:
    """A stage begins.

    Attributes:
        name: Of the stage.
    """

    name: str


@dataclass(frozen=True)
class Ended:
    """A stage ended.

    Attributes:
        result: The dataclass that the stage returned.
        seconds: How long it took.
    """

    name: str
    result: object
    seconds: float


OnEvent = Callable[[Began | Ended], None]


def unseen(_: Began | Ended) -> None:
    """Ignore the event."""


@dataclass
class Steps:
    """Runs stages in order, reports each, and keeps their results.

    Attributes:
        results: What each stage returned, by its name, in order.
    """

    on_event: OnEvent = unseen
    results: dict[str, object] = field(default_factory=dict)

    def begin(self, name: str) -> None:
        """Report the beginning of a stage that ends with `found`."""
        self.on_event(Began(name))

    def found(self, name: str, result: object) -> None:
        """Report a result without a stage; it is not kept."""
        self.on_event(Ended(name, result, 0.0))

    def step(self, name: str, call: Callable[[], _R]) -> _R:
        """Run one stage and return its result."""
        self.on_event(Began(name))
        began = time.monotonic()
        result = call()
        self.results[name] = result
        self.on_event(Ended(name, result, time.monotonic() - began))
        return result
