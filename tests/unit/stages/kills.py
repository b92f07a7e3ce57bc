"""A kill at one of the steps of a stage, as a process that ends leaves files behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest


class Killed(BaseException):
    """Stands for the end of the process; nothing catches it."""


@contextmanager
def killed_at(number: int, effects: Sequence[tuple[Any, str]], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Raise `Killed` before the call of this number to one of the functions, which are named by owner and attribute."""
    calls = 0

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def effect(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == number:
                raise Killed
            return real(*arguments, **options)

        return effect

    with monkeypatch.context() as patch:
        for owner, name in effects:
            patch.setattr(owner, name, counted(getattr(owner, name)))
        yield
