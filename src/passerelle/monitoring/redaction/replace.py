"""The order of the rules, and the text in which markers stand for what they found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from passerelle.monitoring.redaction import numbers, persons, places, prefilters
from passerelle.monitoring.redaction.folding import Folded, Span, fold
from passerelle.monitoring.redaction.prefilters import Cues, cues_of

#: Changes with each change of what the rules find; the log holds it with each text.
RULES_VERSION: Final = 1


class Finder(NamedTuple):
    """What finds personal data of one kind, in one way.

    Attributes:
        spans: Yields where it stands.
        possible: Tells from a text that holds none, in less time than the search takes.
        least_digits: Fewest digits of a text that can hold any.
    """

    spans: Callable[[Folded], Iterator[Span]]
    possible: Callable[[Cues], bool]
    least_digits: int = 0


class RedactionRule(NamedTuple):
    """What finds and replaces one kind of personal data.

    Attributes:
        marker: Stands for it in the redacted text.
        finders: All ways in which it is found.
    """

    marker: str
    finders: Sequence[Finder]


_NAMES: Final = (
    Finder(persons.after_civility, prefilters.may_hold_civility),
    Finder(persons.after_introduction, prefilters.may_hold_introduction),
    Finder(persons.after_role, prefilters.may_hold_role),
    Finder(persons.after_closing, prefilters.may_hold_closing),
    Finder(persons.first_and_surname, prefilters.may_hold_first_name),
)
#: Long numbers first: a card or a telephone number may be found within an IBAN, and a name is found last.
RULES: Final[Mapping[str, RedactionRule]] = {
    "email": RedactionRule("[e-mail]", [Finder(numbers.emails, prefilters.may_hold_email)]),
    "iban": RedactionRule("[IBAN]", [Finder(numbers.ibans, prefilters.may_hold_iban, least_digits=2)]),
    # Corsica's 2A takes the place of one of thirteen digits.
    "nir": RedactionRule("[n° de sécurité sociale]", [Finder(numbers.nirs, prefilters.always, least_digits=12)]),
    "card": RedactionRule("[carte]", [Finder(numbers.cards, prefilters.always, least_digits=13)]),
    "file_number": RedactionRule("[n° de dossier]", [Finder(numbers.file_numbers, prefilters.may_hold_file_number, least_digits=3)]),
    "birth_date": RedactionRule("[date de naissance]", [Finder(numbers.birth_dates, prefilters.may_hold_birth_date, least_digits=3)]),
    "phone": RedactionRule("[téléphone]", [Finder(numbers.phones, prefilters.always, least_digits=8)]),
    "plate": RedactionRule("[plaque]", [Finder(numbers.plates, prefilters.may_hold_plate, least_digits=3)]),
    "address": RedactionRule("[adresse]", [Finder(places.addresses, prefilters.may_hold_address)]),
    "name": RedactionRule("[nom]", _NAMES),
}


class Redacted(NamedTuple):
    """A text without the personal data that the rules find.

    Attributes:
        text: With markers.
        counts: How often each kind was found; only kinds that were found.
    """

    text: str
    counts: Mapping[str, int]


def find(text: str, rules: Mapping[str, RedactionRule] = RULES) -> list[tuple[int, int, str]]:
    """Return start, end and kind of all that the rules find, in the order of the text."""
    if rules is RULES and not prefilters.may_hold_any(text):
        return []
    folded = fold(text)
    cues = cues_of(folded)
    found: list[tuple[int, int, str]] = []
    for kind, rule in rules.items():
        spans: list[Span] = []
        for finder in rule.finders:
            if cues.digits >= finder.least_digits and finder.possible(cues):
                spans += finder.spans(folded)
        if spans:
            spans = _apart(spans)
            found += [(*folded.original(span), kind) for span in spans]
            folded = folded.masked(spans)
            cues = cues_of(folded)
    return sorted(found)


def redact(text: str) -> Redacted:
    """Return the text with a marker for each e-mail address, number, address and name that the rules find."""
    found = find(text)
    if not found:
        return Redacted(text, {})
    parts, counts = [], dict[str, int]()
    end = 0
    for start, stop, kind in found:
        parts += [text[end:start], RULES[kind].marker]
        counts[kind] = counts.get(kind, 0) + 1
        end = stop
    return Redacted("".join([*parts, text[end:]]), counts)


def _apart(spans: Iterable[Span]) -> list[Span]:
    """Return the spans in their order, overlapping ones joined."""
    joined: list[Span] = []
    for start, stop in sorted(spans):
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return joined
