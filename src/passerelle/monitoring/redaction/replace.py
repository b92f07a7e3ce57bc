"""The order of the rules, and the text in which markers stand for what they found."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from passerelle.monitoring.redaction import numbers, persons, places
from passerelle.monitoring.redaction.folding import Folded, Span, fold

#: Changes with each change of what the rules find; the log holds it with each text.
RULES_VERSION: Final = 1


class Rule(NamedTuple):
    """What finds one kind of personal data.

    Attributes:
        marker: Stands for it in the redacted text.
        spans: Yields where it stands.
        without: Tells from a text that cannot hold any, in less time than the rule takes.
    """

    marker: str
    spans: Callable[[Folded], Iterator[Span]]
    without: Callable[[Folded], bool]


def _without_digits(folded: Folded) -> bool:
    return _DIGIT.search(folded.text) is None


def _without_at(folded: Folded) -> bool:
    return not any(sign in folded.text for sign in _AT_SIGNS)


def _never(_: Folded) -> bool:
    return False


_DIGIT: Final = re.compile(r"\d")
_AT_SIGNS: Final = ("@", "arob", " at ", "(", "[", "{")
#: Long numbers first: a card or a telephone number may be found within an IBAN, and a name is found last.
RULES: Final[Mapping[str, Rule]] = {
    "email": Rule("[e-mail]", numbers.emails, _without_at),
    "iban": Rule("[IBAN]", numbers.ibans, _without_digits),
    "nir": Rule("[n° de sécurité sociale]", numbers.nirs, _without_digits),
    "card": Rule("[carte]", numbers.cards, _without_digits),
    "file_number": Rule("[n° de dossier]", numbers.file_numbers, _without_digits),
    "birth_date": Rule("[date de naissance]", numbers.birth_dates, _without_digits),
    "phone": Rule("[téléphone]", numbers.phones, _without_digits),
    "plate": Rule("[plaque]", numbers.plates, _without_digits),
    "address": Rule("[adresse]", places.addresses, _without_digits),
    "name": Rule("[nom]", persons.names, _never),
}


class Redacted(NamedTuple):
    """A text without the personal data that the rules find.

    Attributes:
        text: With markers.
        counts: How often each kind was found; only kinds that were found.
    """

    text: str
    counts: Mapping[str, int]


def find(text: str) -> list[tuple[int, int, str]]:
    """Return start, end and kind of all that the rules find, in the order of the text."""
    folded = fold(text)
    found = []
    for kind, rule in RULES.items():
        spans = [] if rule.without(folded) else _apart(rule.spans(folded))
        if spans:
            found += [(*folded.original(span), kind) for span in spans]
            folded = folded.masked(spans)
    return sorted(found)


def redact(text: str) -> Redacted:
    """Return the text with a marker for each e-mail address, number, address and name that the rules find."""
    parts, counts = [], dict[str, int]()
    end = 0
    for start, stop, kind in find(text):
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
