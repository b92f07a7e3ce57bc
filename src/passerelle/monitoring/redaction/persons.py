"""The rules for names: after a civility, an introduction, a greeting or a word for a relative, and a first name with a surname."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from passerelle.monitoring.redaction.folding import Folded, Span
from passerelle.monitoring.redaction.words import COMMON_WORDS, FIRST_NAMES, NAMES_OF_PLACES

_SHORT: Final = r"(?:mesdames|messieurs|mlles|mmes|mme|mlle|mrs?|mm|dr|pr|me|m)\.?"
_LONG: Final = r"monsieur|madame|mademoiselle|docteure?|professeure?|maitre|veuve|epouse|epoux"
_CIVILITY: Final = re.compile(rf"(?<![\w'-])(?:({_SHORT})|{_LONG})\s{{1,3}}")
#: Other words in small letters: "pr la carte", "il me faut", "20 m de haut".
_ONLY_CAPITAL: Final = {"me", "pr", "m", "mm", "mrs"}
_LOOSE: Final = {"mme", "mlle", "mr", "dr"}
_TITLE: Final = re.compile(
    r"(?:(?:le|la|les) |l')"
    r"(?:docteure?|professeure?|direct(?:eur|rice)|conseillere?|adjointe?|presidente?|juge|commissaire|prefete?|maire) "
)

_INTRODUCTION: Final = re.compile(
    r"(?<![\w'-])(?:je m'appelle|je me (?:pre)?nomme|mon (?:pre)?nom(?: de famille)? (?:est|c'est)|(?:pre)?nom(?: de \w{5,9})? ?: ?"
    r"|moi c'est|soussigne(?:\(?e\)?)?,?)\s{0,2}"
)
_STRICT_INTRODUCTION: Final = re.compile(
    r"(?<![\w'-])(?:s'appell\w{1,5}|se (?:pre)?nomme|(?:pre)?nomme(?:\(?es?\)?)?|au nom de|signe(?:e)?)\s?:?\s{0,2}"
)
_CLOSING: Final = re.compile(
    r"(?<![\w'-])(?:(cordialement|cordialmt|cdt|cdlt|respectueusement|sincerement|amicalement|bien a (?:vous|toi)"
    r"|salutations?(?: (?:distinguees|respectueuses|cordiales|sinceres))?)"
    r"|merci(?: (?:d'avance|bien|beaucoup|a vous))?|bon(?:ne)? (?:journee|soiree|reception|courage|continuation|fin de journee)|a bientot)"
    r"[\s,.!:;-]{1,6}"
)
_END: Final = re.compile(r"[\s.!]{0,6}(?:\Z|\n|\0)")
_LAST_LINE: Final = re.compile(r"\n\s{0,3}")

_ROLES: Final = (
    r"fils|filles?|enfants?|bebe|mari|femme|epouse|epoux|conjointe?|compagn(?:e|on)|pere|mere|papa|maman|freres?|soeurs?|beau-(?:pere|frere|fils)"
    r"|belle-(?:mere|soeur|fille)|grand-(?:pere|mere)|oncle|tante|cousine?s?|neveu|niece|petit-fils|petite-fille|petite?|ainee?|cadette?"
    r"|jumeaux|jumelles?|voisine?s?|amie?s?|collegue|copine?|nounou|agente?s?|gardiene?|gardienne?|concierge|animat(?:eur|rice)s?"
    r"|maitre|maitresse|professeure?|prof|instituteur|institutrice|infirmiere?|direct(?:eur|rice)|conseillere?|employee?|stagiaire"
    r"|assistante?|auxiliaire|nourrice|eleve|camarade|locataire|proprietaire|policier|policiere|medecin|dentiste|facteur|factrice|hotesse"
)
COMPLEMENT: Final = (
    r"(?: (?:d'accueil|d'entretien|de securite|de service|de nuit|municipale?|sociale?"
    r"|(?:de|a) (?:mon|ma|mes|notre|nos) [a-z]{3,12}))?"
)
_ROLE: Final = re.compile(
    r"(?<![\w'-])(?:(?:mon|ma|mes|notre|nos|votre|vos|son|sa|ses|leurs?|cette|cet|ce|une?|les?|la|du|aux?|des?)\s|[ld]')"
    r"(?:tres )?(?:petite?s? |grande?s? |jeune |ancien(?:ne)? |autre |belle |beau )?"
    rf"(?:{_ROLES})(?![\w'-]){COMPLEMENT}(,?)\s{{1,2}}(?:(?:qui s'appelle|s'appelant|(?:pre)?nommee?)\s)?"
)
_AND: Final = re.compile(r"(?: et |, )")

_TOKEN: Final = re.compile(r"(?:[^\W\d_]\.(?:-?[^\W\d_]\.)?|[^\W\d_]{1,40}(?:['-][^\W\d_]{1,40}){0,3})(?!\w)")
#: Particles that are no French words: they belong to a name in small letters too.
_FOREIGN_PARTICLES: Final = {"da", "dos", "di", "del", "della", "van", "von", "den", "der", "el", "al", "ben", "ibn", "bel", "abd"}
_PARTICLES: Final = {"de", "du", "des", "la", "le", "les", *_FOREIGN_PARTICLES}
#: Frequent words that are surnames with a capital letter.
_SURNAMES: Final = {"petit", "grand", "gros", "bon", "noel", "prefet"}
_ELISION: Final = re.compile(r"(?:[cdjlmnst]|qu)'")
_CAPITALISED: Final = re.compile(r"(?<![\w'-])[A-Z][A-Za-z]{1,30}(?:-[A-Z][A-Za-z]{1,30})?(?![\w-])")
_PLACE: Final = re.compile(
    r"(?<!\w)(?:ecoles?|colleges?|lycees?|creche|maternelle|elementaire|rues?|avenue|av|boulevard|bd|place|square|parc|jardins?|stade|gymnase|piscine"
    r"|bibliotheque|mediatheque|metro|station|arret|quai|pont|centre|espace|hopital|residence|foyer|ehpad|theatre|conservatoire|salle"
    r"|ludotheque|maison|villa|cite|passage|allee|cours|port|sainte?|fondation|musee|esplanade|promenade|impasse|bassin|tour|campus"
    r"|universite|scolaire|clinique|institut|halle|caserne|dispensaire|terrain|patinoire|cimetiere|marche)\s(?:[\w'-]{1,12}\s){0,2}$"
)
_MOST_WORDS: Final = 4
_LONGEST_ACRONYM: Final = 5


def after_civility(folded: Folded) -> Iterator[Span]:
    """Yield where a name stands after a civility."""
    for found in _CIVILITY.finditer(folded.text):
        short = (found[1] or "").rstrip(".")
        if short in _ONLY_CAPITAL and (folded.shouted or not folded.capital(found.start())):
            continue
        title = _TITLE.match(folded.text, found.end())
        span = _name_at(folded, title.end() if title else found.end(), loose=(short in _LOOSE or folded.shouted) and title is None)
        yield from _with_others(folded, span)


def after_introduction(folded: Folded) -> Iterator[Span]:
    """Yield where a name stands after words by which a person is introduced."""
    for pattern, loose in ((_INTRODUCTION, True), (_STRICT_INTRODUCTION, False)):
        for found in pattern.finditer(folded.text):
            yield from _with_others(folded, _name_at(folded, found.end(), loose=loose))


def after_role(folded: Folded) -> Iterator[Span]:
    """Yield where a name stands after a word for a relative or a role."""
    for found in _ROLE.finditer(folded.text):
        span = _name_at(folded, found.end(), loose=False)
        if span is None:
            continue
        word = folded.cased[slice(*span)]
        known = re.split("[ -]", word.lower())[0] in FIRST_NAMES
        acronym = word.isupper() and len(word) <= _LONGEST_ACRONYM
        if known or (not acronym and not found[1]):
            yield from _with_others(folded, span)


def after_closing(folded: Folded) -> Iterator[Span]:
    """Yield where a name stands after a greeting."""
    for found in _CLOSING.finditer(folded.text):
        span = _name_at(folded, found.end(), loose=found[1] is not None)
        if span is None:
            continue
        ends = _END.match(folded.text, span[1]) is not None
        if ends or (found[1] and folded.capital(span[0])):
            yield span


def first_and_surname(folded: Folded) -> Iterator[Span]:
    """Yield where a frequent first name stands with a surname; names of streets, schools and stations stay."""
    if folded.shouted:
        return
    words = list(_CAPITALISED.finditer(folded.cased))
    for one, other in pairwise(words):
        if folded.cased[one.end() : other.start()] != " ":
            continue
        first, last = one[0].lower(), other[0].lower()
        if last.split("-")[0] in FIRST_NAMES and one[0].isupper() and first not in FIRST_NAMES:
            first, last = last, first
        if first.split("-")[0] not in FIRST_NAMES or last in COMMON_WORDS | NAMES_OF_PLACES:
            continue
        if not _PLACE.search(folded.text[max(0, one.start() - 40) : one.start()]):
            yield one.start(), other.end()


def _with_others(folded: Folded, span: Span | None) -> Iterator[Span]:
    """Yield a name and those that are joined to it."""
    while span is not None:
        yield span
        joined = _AND.match(folded.text, span[1])
        span = _name_at(folded, joined.end(), loose=False) if joined else None


def _name_at(folded: Folded, start: int, *, loose: bool) -> Span | None:
    """Return where a name stands that begins here.

    Args:
        loose: Whether one word in small letters that is not among the frequent ones is taken for a name, too.
    """
    place, end, words = start, None, 0
    particle = ""
    for _ in range(_MOST_WORDS + 2):
        token = _TOKEN.match(folded.text, place)
        if token is None or words == _MOST_WORDS:
            break
        word, capital = token[0], folded.capital(place)
        if word in _PARTICLES and (capital or words or (loose and word in _FOREIGN_PARTICLES) or word in {"de", "du"}):
            particle = word
        elif _is_name(word, capital=capital, loose=loose and (not particle or particle in _FOREIGN_PARTICLES)):
            # After a first name in small letters its surname; after another word nothing.
            loose = loose and not capital and word in FIRST_NAMES
            end, words, particle = token.end(), words + 1, ""
        else:
            break
        place = token.end()
        if folded.text[place : place + 1] != " ":
            break
        place += 1
    return None if end is None else (start, end)


def _is_name(word: str, *, capital: bool, loose: bool) -> bool:
    if (word in COMMON_WORDS and not (capital and word in _SURNAMES)) or (_ELISION.match(word) and not (capital and word[0] in "dl")):
        return False
    return capital or loose or re.split("[-']", word)[0] in FIRST_NAMES
