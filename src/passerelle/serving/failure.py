"""What failed while a service starts, as one sentence and the next command."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bentoml.exceptions import BentoMLException, NotFound

from passerelle.errors import IntegrityError, OutsideError, PasserelleError
from passerelle.model.flavors import FLAVORS

_INSTALL = "python -m pip install --require-hashes -r requirements/service.txt\npasserelle containerize --no-cache"


def loading_failure(error: BaseException, folder: Path) -> PasserelleError:
    """Return the refusal of a model whose loading ended with an error of any kind.

    Golden predictions are records of the training data, and an error may quote the value that it failed on. So only the messages of
    imports and of the operating system are repeated; of any other error, its kind and where it was raised.

    Args:
        error: What was raised.
        folder: The bento model's directory.
    """
    kind, model = type(error).__name__, f"{folder.parent.name}:{folder.name}"
    again = f"bentoml models delete {model} --yes; passerelle import; passerelle build; passerelle deploy"
    if lacks_memory(error):
        return OutsideError(
            f"there is not enough memory to load {model}, which each worker loads: {kind} {_place(error)}",
            hint="PASSERELLE_WORKERS=1 passerelle deploy",
        )
    if isinstance(error, PasserelleError):
        error.hint = error.hint or again
        return error
    if isinstance(error, ImportError):
        # Only the name: the message of an ImportError is free text.
        missing = f"the package {error.name} cannot be imported" if error.name else "a package cannot be imported"
        of_pipeline = str(error.name).partition(".")[0] in frozenset[str]().union(*(flavor.packages for flavor in FLAVORS.values()))
        hint = "passerelle containerize --with-pipeline" if of_pipeline else _INSTALL
        return OutsideError(f"{model} cannot be loaded: {missing}: {kind} {_place(error)}", hint=hint)
    if isinstance(error, OSError) and error.strerror:
        about = f" {error.filename}" if error.filename else ""
        return OutsideError(f"{model} cannot be loaded: {kind}: {error.strerror}{about}", hint=again)
    return IntegrityError(f"{model} cannot be loaded: {kind} {_place(error)}", hint=again)


def lacks_memory(error: BaseException) -> bool:
    """Return whether an error, or the one that it was raised from, is that of a process that gets no more memory."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError) or (isinstance(cause, OSError) and cause.errno == errno.ENOMEM):
            return True
        cause = cause.__cause__
    return False


def _place(error: BaseException) -> str:
    """Return the file, line and function that raised the error."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return "at an unknown place"
    last = frames[-1]
    return f"in {'/'.join(Path(last.filename).parts[-3:])}, line {last.lineno}, {last.name}"


@contextmanager
def plain_errors() -> Iterator[None]:
    """Raise what fails in the body as the exception of which `bentoml` prints the message and no stack trace.

    Raises:
        BentoMLException: A setting cannot be used, or the BentoML store holds no such model; holds the next command.
    """
    try:
        yield
    except PasserelleError as error:
        raise BentoMLException(error.message + error.next_lines) from error
    except NotFound as error:
        raise BentoMLException(f"{error}\n  next: passerelle import; bentoml models list") from error
