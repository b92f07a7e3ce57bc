"""Why a version is not followed: for now, or until it changes."""

from __future__ import annotations

from dataclasses import dataclass

from passerelle.errors import PasserelleError


@dataclass(eq=False)
class NotReachedError(Exception):
    """The registry cannot be asked at this moment, or lacks what it is asked for; it is asked again.

    Attributes:
        code: Short name for metrics and programs.
        message: One sentence without credentials.
        hint: The next command.
    """

    code: str
    message: str
    hint: str


@dataclass(eq=False)
class VersionRefusedError(Exception):
    """A version that is not served; it is not tried again until the alias, its files or its ledger entry change.

    Attributes:
        code: Short name for metrics and programs.
        message: One sentence for people.
        hint: The next command.
    """

    code: str
    message: str
    hint: str

    @classmethod
    def of(cls, code: str, error: PasserelleError) -> VersionRefusedError:
        """Return the refusal for one of the package's own errors."""
        return cls(code, error.message, error.hint or "passerelle status")
