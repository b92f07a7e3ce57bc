"""The images that a stack needs, saved to a file and loaded again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from passerelle.bentos.engine import ask, failed, inspect
from passerelle.errors import IntegrityError, NotFoundError
from passerelle.rollout.stack import Stack

_TIMEOUT_S = 1_800.0
#: Of a stack behind whose proxy no model was put yet.
_NO_MODEL = "no-model-is-deployed"


def images_of(stack: Stack) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the images that the stack always needs, and those of its profiles that the engine holds.

    Raises:
        NotFoundError: The engine lacks one that is always needed.
        OutsideError: compose.yaml is not usable.
    """
    needed = tuple(sorted(set(stack.must("config", "--images", of="the stack").split())))
    every = set(stack.must("--profile", "*", "config", "--images", of="the stack").split())
    missing = [name for name in needed if layers_of("docker", name) is None]
    if missing:
        raise NotFoundError(f"the engine does not hold {', '.join(missing)}", hint=f"{stack.command} pull; {stack.command} build")
    # An image that is named by its id alone would have no name where it is loaded.
    named = sorted(name for name in every - set(needed) if _NO_MODEL not in name and not name.startswith("sha256:"))
    return needed, tuple(name for name in named if layers_of("docker", name) is not None)


def layers_of(engine: str, image: str) -> str | None:
    """Return SHA-256 over the digests of an image's layers, the same in each engine; None where it holds none of this name."""
    inspected = inspect(engine, image)
    if inspected is None:
        return None
    return "sha256:" + hashlib.sha256("\n".join(inspected["RootFS"]["Layers"]).encode()).hexdigest()


def save(engine: str, images: Sequence[str], path: Path) -> dict[str, str]:
    """Write images to one file, in which layers that several have stand once; return what they are made of, by their names.

    Raises:
        NotFoundError: The engine lacks one.
        OutsideError: It does not write them.
    """
    found = {name: layers_of(engine, name) for name in images}
    missing = next((name for name, layers in found.items() if layers is None), None)
    if missing is not None:
        raise NotFoundError(f"{engine} holds no image {missing}", hint=f"{engine} image ls")
    done = ask(engine, "save", "--output", str(path), *images, timeout_s=_TIMEOUT_S)
    if done.returncode != 0:
        raise failed(engine, done.stderr, of="saving the images", hint=f"{engine} image ls")
    return {name: layers for name, layers in found.items() if layers is not None}


def load(engine: str, path: Path, expected: Mapping[str, str]) -> tuple[str, ...]:
    """Let the engine hold the images of a file, and return those that it had under the same name with another content.

    Raises:
        OutsideError: The engine does not take them.
        IntegrityError: It holds something else under one of the names afterwards.
    """
    before = {name: layers_of(engine, name) for name in expected}
    done = ask(engine, "load", "--input", str(path), timeout_s=_TIMEOUT_S)
    if done.returncode != 0:
        raise failed(engine, done.stderr, of="loading the images", hint=f"{engine} image ls")
    wrong = next((name for name, layers in expected.items() if layers_of(engine, name) != layers), None)
    if wrong is not None:
        raise IntegrityError(f"{engine} holds another image as {wrong} than the archive says", hint=f"{engine} image inspect {wrong}")
    return tuple(name for name, layers in before.items() if layers not in (None, expected[name]))
