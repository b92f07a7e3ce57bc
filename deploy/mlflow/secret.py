"""Secrets from files, as compose and Kubernetes mount them."""

import os
import sys
from pathlib import Path
from typing import NoReturn


def secret(name: str) -> str:
    """Return the secret in the file that the variable `<name>_FILE` names, or end with a sentence that says what is wrong with it."""
    path = Path(os.environ.get(f"{name}_FILE") or stop(f"{name}_FILE is not set: it names the file that holds the secret"))
    try:
        value = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        stop(f"the secret {path} cannot be read: {error.strerror}. Make it: passerelle deploy --target compose --init")
    return value or stop(f"the secret {path} is empty. Remove the file, then: passerelle deploy --target compose --init")


def say(sentence: str) -> None:
    """Write one line to the container's log."""
    sys.stderr.write(f"passerelle: {sentence}\n")
    sys.stderr.flush()


def stop(sentence: str) -> NoReturn:
    """End the process with one sentence."""
    sys.exit(f"passerelle: {sentence}")
