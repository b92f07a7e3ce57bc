"""What one check of the gate found."""

from __future__ import annotations

from dataclasses import dataclass, field

from passerelle.gate.messages import Language, Message, message_text


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        check: Its name, in the report, in criteria and on the command line.
        passed: Whether it found nothing wrong.
        value: What was measured, as people read it.
        limit: What was asked for.
        problems: What is wrong; empty when nothing is.
        waived: By whom and why, if it was.
        unknown: Whether nothing can be found out: it neither passed nor failed.
        message: What is wrong in English, for errors and logs.
    """

    check: str
    passed: bool
    value: str
    limit: str
    problems: tuple[Message, ...] = ()
    waived: str = ""
    unknown: bool = False
    message: str = field(init=False)

    def __post_init__(self) -> None:
        """Write the message in English."""
        object.__setattr__(self, "message", "; ".join(message_text(each) for each in self.problems))

    @property
    def result(self) -> str:
        """What was found, in a word."""
        return "passed" if self.passed else "unknown" if self.unknown else "waived" if self.waived else "failed"

    @property
    def accepted(self) -> bool:
        """Whether somebody accepted by name that nothing can be found out."""
        return self.unknown and bool(self.waived)

    def text(self, language: Language) -> str:
        """Return what is wrong in the report's language."""
        return ("; " if language == "en" else " ; ").join(message_text(each, language) for each in self.problems)


def message_of(key: str, **values: object) -> Message:
    """Return the message with what its text names."""
    return Message(key, {name: str(value) for name, value in values.items()})


def finding_of(check: str, value: str, limit: str, problems: list[Message]) -> Finding:
    """Return what a check found: it passed where there are no problems."""
    return Finding(check, not problems, value, limit, tuple(problems))
