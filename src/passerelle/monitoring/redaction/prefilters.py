"""What a text cannot hold, told in less time than the rules take: most comments hold nothing, and no rule needs to read them.

Each function returns False only where its rule finds nothing; where it returns True, the rule decides.
"""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple

from passerelle.monitoring.redaction.code_pages import CODE_PAGES, byte_table, encoded
from passerelle.monitoring.redaction.folding import PAGES, Folded
from passerelle.monitoring.redaction.persons import COMPLEMENT
from passerelle.monitoring.redaction.words import FIRST_NAMES

_AT: Final = frozenset(("at", "arobase", "arobas"))
_CIVILITIES_WORDS = """
mesdames messieurs mlles mmes mme mlle mr dr monsieur madame mademoiselle docteur docteure professeur professeure maitre veuve epouse
epoux
"""
#: All that need no capital letter.
_CIVILITIES: Final = frozenset(_CIVILITIES_WORDS.split())
_CAPITAL_CIVILITIES: Final = frozenset(("me", "pr", "m", "mm", "mrs"))
_ROLES_WORDS = """
fils fille filles enfant enfants bebe mari femme epouse epoux conjoint conjointe compagne compagnon pere mere papa maman frere freres
soeur soeurs oncle tante cousin cousine cousins cousines neveu niece petit petite aine ainee cadet cadette cadett jumeaux jumelles voisin
voisine voisins voisines ami amie amis amies collegue copin copine nounou agent agente agents agentes gardien gardiene gardienn gardienne
concierge animateur animateurs animatrice animatrices maitre maitresse professeur professeure prof instituteur institutrice infirmier
infirmiere directeur directrice conseiller conseillere employe employee stagiaire assistant assistante auxiliaire nourrice eleve camarade
locataire proprietaire policier policiere medecin dentiste facteur factrice hotesse
"""
#: The last word of each: `beau-pere` is found by `pere`.
_ROLES: Final = frozenset(_ROLES_WORDS.split())
#: After these, one word in small letters is taken for a name too.
_FORMAL_CLOSINGS: Final = frozenset(
    ("cordialement", "cordialmt", "cdt", "cdlt", "respectueusement", "sincerement", "amicalement", "salutation", "salutations")
)
_CLOSINGS: Final = frozenset(("merci", "journee", "soiree", "reception", "courage", "continuation", "bientot"))
_CUES: Final = _AT | _CIVILITIES | _CAPITAL_CIVILITIES | _ROLES | _FORMAL_CLOSINGS | _CLOSINGS | FIRST_NAMES
#: In bytes they are the same in all code pages.
_CUES_IN_BYTES: Final = frozenset(cue.encode("ascii") for cue in _CUES)

_AT_IN_BRACKETS: Final = re.compile(r"[(\[{]\s?a")
#: Each begins with the rarest character that it needs, so that `re` skips most of the text.
_IBAN: Final = re.compile(
    r"[0-9](?:(?<=[a-z][a-z][0-9])(?<![a-z0-9][a-z][a-z][0-9])|(?<=[a-z][a-z][ -][0-9])(?<![a-z0-9][a-z][a-z][ -][0-9]))[0-9]"
)
_PLATE: Final = re.compile(r"[0-9][0-9](?:[0-9][ .-]?[a-z]{2}(?![a-z0-9])|[ -]?[a-z]{2,3}[ -]?[0-9])")
_WAY_AFTER_DIGIT: Final = re.compile(
    r"[0-9]\s?(?:(?:bis|ter|quater|[a-e])(?![\w']))?\s?,?\s{0,2}(?:de la |du |de l'|de l )?(?:rue|ave?|boul|bd|bld|blvd|imp|faub|fbg|sent"
    r"|all|che|quai|espl|ham|pl|cour|pass|cite|villa|sq|route|rte|resid|voie|mail|gal|prom|rond|lot)"
)
#: Three digits of one number: letters and signs may stand between them, and one blank.
_FILE_DIGITS: Final = re.compile(r"[0-9][-/._a-z]{0,130} ?[0-9][-/._a-z]{0,130} ?[0-9]")
_NAMED: Final = re.compile(r"nom(?:me| de|(?: de \w{5,9})? ?:|(?: de famille)? (?:est|c'est))")
_SIGNED: Final = re.compile(r"signe(?:(?<=soussigne)|(?<![\w'-]signe))")
#: A name without a word that takes any for one: a capital letter, or a particle before it.
_NAME: Final = r"(?:[^\W\d_a-z]|(?i:d[eu]) )"
_NAME_AFTER_ROLE: Final = re.compile(rf"(?i:{COMPLEMENT}),?\s{{1,2}}(?i:(?:qui s'appelle|s'appelant|(?:pre)?nommee?)\s)?{_NAME}")
_NAME_AFTER_CLOSING: Final = re.compile(rf"(?i: (?:d'avance|bien|beaucoup|a vous))?[\s,.!:;-]{{1,6}}{_NAME}")
_BORN: Final = re.compile(
    r"ne(?<!\wne)(?:e?s?|\(e\))\s{0,2}:?\s{0,2}(?:[0-9]|est |le |en |lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche"
    r"|janv|fev|mars|avr|mai|juin|juil|aout|sept|oct|nov|dec)"
)
_FILE: Final = re.compile(
    r"(?:dossier|ref|demande|requete|reclamation|signalement|ticket|allocataire|contra|facture|pv|passeport|carte d|cni|titre de|permis"
    r"|matricule|commande|numero f|usager|client|adherent|abonne|identifiant|recepisse|courrier)"
)
_CAPITAL_CIVILITY: Final = re.compile(r"[MP](?<![\w'-].)(?:[Ee]|[Mm]|[Rr][Ss]?)?\.?\s")

_DIGITS: Final = b"0123456789"
#: All but the characters of words become spaces.
_WORDS: Final = {page: byte_table(page, lambda one: one if one.isalnum() or one == "_" else " ").table for page in CODE_PAGES}
#: The same from a text that is not folded.
_FOLDED_WORDS: Final = {page: PAGES[page].lower.translate(_WORDS[page]) for page in CODE_PAGES}
_AT_OR_BRACKET: Final = b"@([{"
#: Bytes with which a text may hold something, and those that a byte table does not fold.
_TELLING: Final = {
    page: bytes(code for code, folded in enumerate(PAGES[page].lower) if folded in _DIGITS + _AT_OR_BRACKET) + PAGES[page].others
    for page in CODE_PAGES
}
#: What the prefilters look for that is no whole word.
_TELLING_PARTS: Final = (b"nom", b"signe", b"'appell", b"moi c'est", b"bien a ", b"residence ")


class Cues(NamedTuple):
    """What is looked for in a text before any rule reads it.

    Attributes:
        folded: The text.
        words: Those of its words that rules begin with.
        digits: How many it has.
    """

    folded: Folded
    words: AbstractSet[str]
    digits: int


def may_hold_any(text: str) -> bool:
    """Return whether any rule may find something in a text, which is not folded yet: False for more than half of all short comments."""
    found = encoded(text)
    if found is None:
        return True
    page, data = found
    if len(data.translate(None, _TELLING[page])) != len(data):
        return True
    if not _CUES_IN_BYTES.isdisjoint(data.translate(_FOLDED_WORDS[page]).split()):
        return True
    lower = data.translate(PAGES[page].lower)
    return any(part in lower for part in _TELLING_PARTS)


def cues_of(folded: Folded) -> Cues:
    """Return what the text has of all that the rules begin with."""
    found = encoded(folded.text)
    if found is None:
        return Cues(folded, _CUES.intersection(re.findall(r"\w+", folded.text)), sum(map(str.isdigit, folded.text)))
    page, data = found
    words = data.translate(_WORDS[page]).split()
    digits = len(data) - len(data.translate(None, _DIGITS))
    return Cues(folded, frozenset(word.decode("ascii") for word in _CUES_IN_BYTES.intersection(words)), digits)


def always(_: Cues) -> bool:
    """Return True, for a rule that tells by the number of digits alone."""
    return True


def may_hold_email(cues: Cues) -> bool:
    """Return whether there is an at sign, spelled out or not."""
    text = cues.folded.text
    if "@" in text or not _AT.isdisjoint(cues.words):
        return True
    return ("(" in text or "[" in text or "{" in text) and _AT_IN_BRACKETS.search(text) is not None


def may_hold_iban(cues: Cues) -> bool:
    """Return whether two digits stand after two letters."""
    return _IBAN.search(cues.folded.text) is not None


def may_hold_file_number(cues: Cues) -> bool:
    """Return whether there are a number of three digits or more and the name of a file or document."""
    return _FILE_DIGITS.search(cues.folded.text) is not None and _FILE.search(cues.folded.text) is not None


def may_hold_birth_date(cues: Cues) -> bool:
    """Return whether there is a word for birth."""
    text = cues.folded.text
    return "naissance" in text or "ddn" in text or "anniversaire" in text or _BORN.search(text) is not None


def may_hold_plate(cues: Cues) -> bool:
    """Return whether letters stand after digits as in a plate."""
    return _PLATE.search(cues.folded.text) is not None


def may_hold_address(cues: Cues) -> bool:
    """Return whether there is a type of way after a number, or a residence."""
    text = cues.folded.text
    return "residence " in text or (cues.digits > 0 and _WAY_AFTER_DIGIT.search(text) is not None)


def may_hold_civility(cues: Cues) -> bool:
    """Return whether there is a civility; a short one that is also another word only with a capital letter."""
    if not _CIVILITIES.isdisjoint(cues.words):
        return True
    return not _CAPITAL_CIVILITIES.isdisjoint(cues.words) and _CAPITAL_CIVILITY.search(cues.folded.cased) is not None


def may_hold_introduction(cues: Cues) -> bool:
    """Return whether there is a word by which persons are introduced, or the beginning of one."""
    text = cues.folded.text
    if "'appell" in text or "moi c'est" in text:
        return True
    return ("nom" in text and _NAMED.search(text) is not None) or ("signe" in text and _SIGNED.search(text) is not None)


def may_hold_role(cues: Cues) -> bool:
    """Return whether a name may follow a word for a relative or a role."""
    roles = cues.words & _ROLES
    return bool(roles) and (not FIRST_NAMES.isdisjoint(cues.words) or _is_followed(cues.folded, roles, _NAME_AFTER_ROLE))


def may_hold_closing(cues: Cues) -> bool:
    """Return whether a name may follow a greeting as at the end of a letter."""
    if not _FORMAL_CLOSINGS.isdisjoint(cues.words) or "bien a " in cues.folded.text:
        return True
    closings = cues.words & _CLOSINGS
    return bool(closings) and (not FIRST_NAMES.isdisjoint(cues.words) or _is_followed(cues.folded, closings, _NAME_AFTER_CLOSING))


def _is_followed(folded: Folded, words: AbstractSet[str], by: re.Pattern[str]) -> bool:
    """Return whether one of these words is followed by a pattern, in the text with its capital letters."""
    for word in words:
        place = folded.text.find(word)
        while place >= 0:
            place += len(word)
            if by.match(folded.cased, place):
                return True
            place = folded.text.find(word, place)
    return False


def may_hold_first_name(cues: Cues) -> bool:
    """Return whether there is a frequent first name."""
    return not FIRST_NAMES.isdisjoint(cues.words)
