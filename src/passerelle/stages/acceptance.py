"""What a person accepts by name, for a reason, although it speaks against a version: a reason for one thing accepts no other in silence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from passerelle.errors import UsageError

Acceptance = Literal["champion-gone", "criteria", "ledger", "too-few-rows", "unjudged", "unknown-leakage", "withdrawn"]
#: What may be accepted, in the order of the documentation.
ACCEPTANCES: tuple[Acceptance, ...] = get_args(Acceptance)
#: Each in words.
MEANINGS: Mapping[Acceptance, str] = {
    "champion-gone": "it is judged by the criteria alone",
    "criteria": "the criteria are others than before",
    "ledger": "the ledger is another than MLflow knows",
    "too-few-rows": "the rows are too few to tell whether it is as good as the one in production",
    "unjudged": "there are no labelled rows to judge it by",
    "unknown-leakage": "nobody knows which rows it learned from",
    "withdrawn": "a rollback took it out of production",
}
#: What a CI job's name begins with, as `author` gives it.
_JOB = "ci:"


def reason_of_person(who: str, reason: str | None) -> bool:
    """Return whether a person gives a reason: a CI job is none."""
    return bool(reason and reason.strip()) and bool(who) and not who.startswith(_JOB)


@dataclass(frozen=True)
class Reasons:
    """What somebody gives a reason for.

    Attributes:
        who: As the ledger names them.
        reason: Why; None where nobody says so.
        named: What they accept by name. Where they name nothing, the reason accepts the one thing that stands in the way, if it is one.
        only_these: Whether the reason is for something else already, such as a waiver: then only what is named is accepted.
        taken: What was accepted so far.
    """

    who: str
    reason: str | None
    named: tuple[Acceptance, ...] = ()
    only_these: bool = False
    taken: list[Acceptance] = field(default_factory=list, compare=False)

    def may(self, name: Acceptance) -> bool:
        """Return whether this would be accepted now. A job puts back what was withdrawn where somebody named that."""
        if name in self.named:
            return reason_of_person(self.who, self.reason) or (name == "withdrawn" and bool(self.reason and self.reason.strip()))
        return not self.named and not self.only_these and {*self.taken} <= {name} and reason_of_person(self.who, self.reason)

    def accepts(self, name: Acceptance) -> bool:
        """Return whether this is accepted, and remember it for the ledger's entry."""
        accepted = self.may(name)
        if accepted and name not in self.taken:
            self.taken.append(name)
        return accepted

    @property
    def lacking(self) -> str:
        """What is lacking to accept something, for a message."""
        if not (self.reason and self.reason.strip()) or not self.who.startswith(_JOB):
            besides = ", and the one that is given is for something else: name this too" if reason_of_person(self.who, self.reason) else ""
            return f"it takes the reason of a person who accepts that{besides}"
        return f"it takes the reason of a person who accepts that, and {self.who} is none"

    def options(self, name: Acceptance) -> str:
        """Return the options that accept this and what was accepted so far."""
        return accepting({*self.named, *self.taken, name})


def accepting(names: Iterable[str]) -> str:
    """Return the options that accept these for a reason."""
    return "".join(f"--accept {name} " for name in sorted(names)) + "--reason REASON"


def check_acceptances(named: Iterable[str], reason: str | None, *, retry: str) -> None:
    """Check that what is accepted by name is accepted for a reason.

    Args:
        retry: Command that the options belong to.

    Raises:
        UsageError: There is none.
    """
    given = tuple(named)
    if given and not (reason and reason.strip()):
        raise UsageError(f"{given[0]} is accepted with a reason", hint=f"{retry} {accepting(given)}")
