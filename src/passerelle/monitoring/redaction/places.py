"""The rule for street addresses: a number, the type of a way, its name, and what makes the place more precise."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from passerelle.monitoring.redaction.folding import Folded, Span
from passerelle.monitoring.redaction.words import COMMON_WORDS, FIRST_NAMES

_NUMBER: Final = (
    r"(?<![\w,.])(?:n ?°|no|numero)?\s?\d{1,4}(?:\s?(?:[-/&]|et|a)\s?\d{1,4})?\s?(?:(?:bis|ter|quater|[a-e])(?![\w']))?\s?,?\s{0,2}"
    r"(?:de la |du |de l'|de l )?"
)
#: Ways that are hardly anything else after a number.
_CERTAIN: Final = (
    r"rue|avenue|av\.|av|ave|boulevard|bd\.?|bld|blvd|impasse|imp\.|ruelle|faubourg|fbg|sente|sentier|allee|chemin|quai"
    r"|esplanade|hameau"
)
#: Words with other meanings too ("2 places", "1 passage"): only before a name with a capital letter, or of a person's own place.
_UNCERTAIN: Final = (
    r"place|pl\.?|cours|passage|cite|villa|square|sq\.?|route|rte|residence|cour|voie|mail|galerie|allees|promenade|rond-point|lotissement"
)
_WAY: Final = re.compile(rf"{_NUMBER}(?:({_CERTAIN})|({_UNCERTAIN}))(?![\w'-])\s{{0,2}}")
_OWN_PLACE: Final = re.compile(
    r"(?:habit\w{1,4}|demeur\w{1,4}|domicili\w{1,3}|resid\w{1,4}|log\w{1,3}|adresse|chez moi)\W{0,3}(?:\w{1,6}\W{1,2}){0,2}$"
)
_ARTICLES: Final = re.compile(r"(?:(?:de|du|des|la|le|les|aux?|et)\s{1,2}|[dl]' ?){0,3}")
_WORD: Final = re.compile(r"(?:[^\W\d_]{1,30}\.?(?:[-'][^\W\d_]{1,30}){0,5}|\d{1,2}(?:er)?(?= \w)|(?:19|20)\d\d)")
_JOINED: Final = re.compile(r"\s(?:de la |de l'|des |du |de |d'|et |la |le |les )?")
#: "12 rues fermées" counts them.
_COUNTED: Final = re.compile(r"(?:ferme|barre|bloque|pieton|concerne|voisin|commercant)\w{0,4}$")
_ELIDED: Final = {"j'", "n'", "s'", "m'", "c'", "t'"}
_MONTHS: Final = {"janvier", "fevrier", "mars", "avril", "mai", "juin", "juillet", "aout", "septembre", "octobre", "novembre", "decembre"}
_TITLES: Final = {
    "saint", "sainte", "st", "ste", "general", "marechal", "docteur", "colonel", "commandant", "faubourg", "fbg", "abbe", "pere",
}  # fmt: skip
_PRECISE: Final = (
    r"(?:batiment|bat|escalier|esc|appartement|appart|appt|apt|app|porte|hall|interphone|lot)"
    r"(?![\w'])\.?\s?(?:n ?°|numero)?\s?[a-z]?\d{0,4}(?!\w)"
    r"|\d{1,2} ?(?:e|er|eme|ieme) etage"
)
_NO_CITY: Final = r"(?:a|au|car|depuis|et|il|je|la|le|les|merci|mon|n|ne|nous|on|pour|qui|sans|sur|un|une)(?![\w-])"
_MORE: Final = re.compile(
    rf"(?:\s?[,(-]?\s?(?:{_PRECISE})\)?"
    rf"|\s?[,(-]?\s{{0,2}}(?:a )?(?:f-)?\d{{5}}(?!\d)(?:\s{{1,2}}(?!{_NO_CITY})[a-z]{{2,20}}(?:-[a-z]{{2,20}}){{0,4}})?"
    r"(?:\s?\d{1,2}(?:e|eme|er)?(?!\w))?"
    r"|\s?,?\s{0,2}(?:a )?paris(?!\w)(?:\s?\d{1,2}(?:e|eme|er)?(?!\w))?){1,6}"
)
_RESIDENCE: Final = re.compile(
    r"(?<![\w'-])residence (?:(?:de la |des |du |les |le |la |l'))?"
    rf"[^\W\d_]{{2,30}}(?:[ '-][^\W\d_]{{1,30}}){{0,3}}?(?:\s?,?\s?(?:{_PRECISE})){{1,4}}"
)
_MOST_WORDS: Final = 5


def addresses(folded: Folded) -> Iterator[Span]:
    """Yield where a street address stands."""
    end = 0
    for found in _WAY.finditer(folded.text):
        if found.start() < end:
            continue
        stop = _end_of_name(folded, found.end(), certain=found[1] is not None or _of_own(folded, found.start()))
        if stop is None:
            continue
        more = _MORE.match(folded.text, stop)
        end = more.end() if more else stop
        start = found.start() + len(found[0]) - len(found[0].lstrip())
        yield start, start + len(folded.text[start:end].rstrip())
    yield from (found.span() for found in _RESIDENCE.finditer(folded.text) if found.start() >= end)


def _of_own(folded: Folded, start: int) -> bool:
    return _OWN_PLACE.search(folded.text[max(0, start - 40) : start]) is not None


def _end_of_name(folded: Folded, start: int, *, certain: bool) -> int | None:
    """Return where the name of a way ends that begins here; None where none begins."""
    articles = _ARTICLES.match(folded.text, start)
    place = articles.end() if articles else start
    end, goes_on = None, True
    for number in range(_MOST_WORDS):
        word = _WORD.match(folded.text, place)
        if word is None:
            break
        stands_out = folded.capital(place) or word[0][0].isdigit() or word[0] in _MONTHS
        if _is_ordinary(word[0]) and not (folded.capital(place) and number == 0):
            break
        if not (stands_out or folded.shouted or goes_on) or (number == 0 and not stands_out and not certain):
            break
        end = word.end()
        goes_on = word[0].rstrip(".") in _TITLES | FIRST_NAMES
        joined = _JOINED.match(folded.text, end)
        if joined is None or (folded.shouted and joined[0].strip() == "et"):
            break
        place = joined.end()
    return end


def _is_ordinary(word: str) -> bool:
    return word not in _MONTHS and (word.rstrip(".") in COMMON_WORDS or word[:2] in _ELIDED or _COUNTED.match(word) is not None)
