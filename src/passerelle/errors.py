"""The error tree: every failure that a user can cause or meet, with the next command.

A message says what failed and on which object. A hint is the next command, to
be typed as it stands: commands separated by `; ` are typed one after the other,
and each line is an alternative. What cannot be a command stands in the message.
The command line turns an error into its exit code and prints no stack trace.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import ClassVar

#: The next commands for a model that differs from the registered one. Registering the same run again would not help.
TRAIN_AGAIN = "passerelle rollback\npasserelle train --again; passerelle register"


def shell_word(value: object) -> str:
    """Return a path or a name as a hint spells it: one word for the shell, in quotes where it holds a space or an accent."""
    return shlex.quote(str(value))


class PasserelleError(Exception):
    """What failed, on which object, and the next command.

    Args:
        message: One sentence that names the object that failed.
        hint: The next command to type, if there is one; each line is an alternative.
    """

    exit_code: ClassVar[int] = 2
    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def next_lines(self) -> str:
        """The hint as it is printed below the message; empty where there is none."""
        return "\n  next: " + self.hint.replace("\n", "\n    or: ") if self.hint else ""


class RefusedError(PasserelleError):
    """The criteria, the gate or a check of integrity refused it (exit code 1)."""

    exit_code = 1
    code = "refused"


class CriteriaError(RefusedError):
    """The model does not meet the criteria, or is not shown to be as good as the one in production: a result, not a fault."""

    code = "criteria"


class UsageError(PasserelleError):
    """The input is wrong: a file, a column, an option (exit code 2)."""

    exit_code = 2
    code = "usage"


class DataError(UsageError):
    """The data cannot be trained on or scored: missing column, one class only, wrong encoding."""

    code = "data"


class SettingsError(UsageError):
    """A setting is unknown, of the wrong type, or not allowed in this environment."""

    code = "settings"


class NotFoundError(UsageError):
    """A registered model, version, alias, bento model or bento does not exist."""

    code = "not_found"


class SeveralModelsError(UsageError):
    """One registered model is needed, there are several, and none was named.

    Args:
        registered_models: Their names.
    """

    code = "which_model"

    def __init__(self, problem: str, registered_models: Sequence[str]) -> None:
        super().__init__(f"{problem}: {', '.join(registered_models)}; --model says which")
        self.registered_models = tuple(registered_models)


class OutsideError(PasserelleError):
    """An outside system failed: MLflow, S3, the BentoML store, the container engine, the disk (exit code 3)."""

    exit_code = 3
    code = "outside"


class BusyError(OutsideError):
    """Another process is in the way: a lock is held, a port is taken."""

    code = "busy"


class ModelEndedError(OutsideError):
    """The process that holds an adopted model ended, or cannot be started."""

    code = "model_ended"


class ModelTimeoutError(OutsideError):
    """The process that holds an adopted model took longer than it may."""

    code = "model_timeout"


class IntegrityError(RefusedError):
    """A file's digest, a signature or the golden predictions do not match what was recorded."""

    code = "integrity"


class SignatureError(IntegrityError):
    """A signature that is required is missing, or is not by a key of the operator's for these files."""

    code = "signature"


class DigestError(IntegrityError):
    """A file is missing, was added, or is not the one whose digest was recorded."""

    code = "digest"


class GoldenError(IntegrityError):
    """The model does not reproduce its golden predictions."""

    code = "golden"


class DamagedFileError(IntegrityError):
    """A file of the model cannot be read as what it should be."""

    code = "damaged_file"


class UntrustedTypeError(IntegrityError):
    """The model holds types that the operator does not trust, or would run code when it is loaded."""

    code = "untrusted_type"
