"""Files that hold a secret, and who on this machine may read them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from passerelle.api_keys import others_may_read, read_keys
from passerelle.count_of import count_of
from passerelle.doctor.diagnosis import Diagnosis, Health, Surroundings, fine, not_used
from passerelle.errors import PasserelleError, shell_word
from passerelle.platform.state import platform_folder
from passerelle.rollout.secret_files import check_secrets

NAME = "secrets"
_OF_THE_PLATFORM = ("platform.json", "s3-keys.json", "s3-config.json", "webhook_key")


def probe(here: Surroundings) -> Iterator[Diagnosis]:
    """Say which secret others may read, is missing, empty or not what it should be."""
    found = list(_faults(here))
    yield from found
    stack = stack_secrets(here.project)
    places = [path for path in (*_private_files(here), here.keys_file) if path.exists()]
    if not found and not places and not stack.is_dir():
        yield not_used(NAME, "no file here holds a secret")
    elif not found:
        where = count_of(len(places), "file") + (f" and those of {stack}" if stack.is_dir() else "")
        yield fine(NAME, f"{where} can be read by their owner alone")


def stack_secrets(project: Path) -> Path:
    """Return the folder of the compose stack's secrets; it is there once the stack was set up."""
    return project / "deploy" / "secrets"


def _faults(here: Surroundings) -> Iterator[Diagnosis]:
    for path in _private_files(here):
        if path.exists() and others_may_read(path):
            yield Diagnosis(NAME, Health.FAULT, f"{path} can be read by everybody on this machine", hint=f"chmod 600 {shell_word(path)}")
    checks: list[Callable[[], object]] = [partial(read_keys, here.keys_file)]
    if stack_secrets(here.project).is_dir():
        checks.append(partial(check_secrets, stack_secrets(here.project)))
    for check in checks:
        try:
            check()
        except PasserelleError as error:
            yield Diagnosis(NAME, Health.FAULT, error.message, error.hint)


def _private_files(here: Surroundings) -> Iterator[Path]:
    folder = platform_folder(here.state.state_dir)
    yield from (folder / name for name in _OF_THE_PLATFORM)
    if here.signing.signing_key is not None:
        yield here.signing.signing_key
