"""The environment of models of texts, in the cache: `python -m tests.text_environment` makes it where this machine has its Python.

Its PyTorch is the last one of which the index of packages has a wheel that needs no package of CUDA: 0.8 GB in place of 3.
"""

# ruff: noqa: T201 - a script that prints

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from passerelle.environments.pythons import find_python
from passerelle.errors import NotFoundError
from tests.cached_environment import ROOT, CachedEnvironment, is_complete

__all__ = ["is_complete", "text_python"]
_TEXTS = CachedEnvironment(ROOT / "tests" / "data" / "texts.txt", "test-environments", "texts-", ("install", "--no-deps", "--requirement"))
_PYTHON = "3.10"


def text_python() -> Path:
    """Return where the environment's Python is, whether it is there or not."""
    return _TEXTS.python


if __name__ == "__main__":
    try:
        print(replace(_TEXTS, base=find_python(_PYTHON)).make())
    except NotFoundError as error:
        print(f"no environment of texts: {error.message}")
