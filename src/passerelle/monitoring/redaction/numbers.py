"""Rules for what has a format: e-mail, bank account, social security number, card, file number, telephone, plate, date of birth."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from passerelle.monitoring.redaction.checksums import IBAN_LENGTHS, can_be_nir, is_card, is_iban, is_nir
from passerelle.monitoring.redaction.folding import Folded, Span

_AT: Final = r"(?:\s{0,2}(?:@|[(\[{]\s?(?:at|a|arobase|arobas)\s?[)\]}])\s{0,2}|\s(?:at|arobase|arobas)\s)"
_DOT: Final = r"(?:\.|\s?[(\[{]\s?(?:point|dot)\s?[)\]}]\s?|\s(?:point|dot)\s)"
_LOCAL: Final = r"(?<![\w.+%-])[\w.+%-]{1,64}(?:\s(?:point|tiret|underscore)\s[\w.+%-]{1,64}){0,3}"
_EMAIL: Final = re.compile(rf"{_LOCAL}{_AT}[a-z0-9-]{{1,63}}(?:{_DOT}[a-z0-9-]{{1,63}}){{1,4}}")

_IBAN_START: Final = re.compile(r"(?<![a-z0-9])[a-z]{2}[ -]?\d{2}")
_IBAN_REST: Final = re.compile(r"(?:[ .-]{0,2}[a-z0-9]){10,32}")

_S: Final = r"[ .-]{0,2}"
_NIR: Final = re.compile(
    rf"(?<![\w+])([12378](?:{_S}\d){{4}}{_S}(?:2{_S}[ab]|\d{_S}\d)(?:{_S}\d){{6}})(?:[ .,/-]{{0,3}}(?:cle )?(\d{_S}\d)(?!\d))?"
)
_CARD: Final = re.compile(r"(?<![\w+])\d(?:[ .-]?\d){12,18}(?![ -]?\d)")

_P: Final = r"[ ./_()-]{0,3}"
_PHONES: Final = (
    re.compile(rf"(?<![\w+])\(?(?:(?:\+|00)\s?(?:33|262|590|594|596|508){_P}(?:\(?0\)?)?{_P}|[0o])[1-79](?:{_P}\d){{8}}(?!\d)"),
    re.compile(rf"(?<![\w+])(?:\+|00)[1-9](?:{_P}\d){{7,13}}(?!\d)"),
)
_DATES_IN_A_ROW: Final = re.compile(r"\d{1,2}[/.-]\d{1,2}[/.-](?:19|20)\d\d")

_L: Final = "[a-hj-np-tv-z]"
_PLATE: Final = re.compile(rf"(?<![a-z0-9])({_L}{{2}})([ .-]?)\d{{3}}([ .-]?)({_L}{{2}})(?![a-z0-9])")
_OLD_PLATE: Final = re.compile(r"(?<![a-z0-9])\d{2,4}[ -]?([a-z]{2,3})[ -]?(?:0[1-9]|[1-8]\d|9[0-5]|2[ab]|97[1-6])(?![a-z0-9])")
_VEHICLE: Final = re.compile(r"(?:plaque|immatricul|vehicule|voiture|scooter|moto|camion|utilitaire|fourgon)[^\n]*$")
_NO_PLATE: Final = {
    "de", "le", "la", "et", "en", "du", "au", "un", "km", "kg", "cm", "mm", "eme", "ans", "rue", "ave", "bis", "ter", "est", "les", "des",
    "sur", "par", "mai", "jan", "fev", "mar", "avr", "jun", "jul", "aou", "sep", "oct", "nov", "dec", "eur", "min", "mn", "ou",
    "rer", "bus", "pcs", "kwh", "db", "go", "mo", "sms", "pv", "hlm", "cm2", "ce2",
}  # fmt: skip

_HYPHENS: Final = 2
#: How many characters before a plate may say that it is about a vehicle.
_BEFORE: Final = 60

_MONTH: Final = (
    r"(?:janv(?:ier)?|fevr?(?:ier)?|mars|avr(?:il)?|mai|juin|juil(?:let)?|aout|sept(?:embre)?|oct(?:obre)?|nov(?:embre)?"
    r"|dec(?:embre)?)\.?"
)
_DATE: Final = (
    rf"(?:\d{{1,2}}(?:er)?[ ./-]{{1,3}}(?:\d{{1,2}}|{_MONTH})[ ./-]{{1,3}}\d{{2,4}}"
    rf"|\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}|{_MONTH} \d{{4}}|\d{{8}})(?!\d)"
)
_BORN: Final = r"(?:nee?s?|ne\(e\)|ddn|date (?:de )?naissance|naissance|anniversaire(?: (?:de )?(?:mon|ma|mes) \w{1,20})?)"
_DAY: Final = r"(?:(?:lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche) )?"
_BIRTH_DATE: Final = re.compile(rf"(?<![\w]){_BORN}\s{{0,2}}:?\s{{0,2}}(?:(?:est )?(?:le|en) )?{_DAY}({_DATE})")

_FILE: Final = re.compile(
    r"(?<!\w)(?:dossiers?|references?|refs?|demandes?|requete|reclamation|signalement|ticket|allocataire|contrat|contravention|facture|pv"
    r"|passeport|carte d'identite|cni|titre de sejour|permis(?: de conduire)?|matricule|commande|numero fiscal|usager|client|adherent"
    r"|abonne|identifiant|recepisse|courrier)\.?(?: (?:caf|navigo|fiscale?|unique|est|le|la|du|de|dossier|demande|signalement)){0,3}"
    r"\s{0,2}[:=]?\s{0,2}((?:n°|no|num|numero|n)?[ .:#]{0,3})"
    r"([a-z0-9]{1,20}(?:[-/._][a-z0-9]{1,20}){0,5}(?: \d{2,9}){0,5})(?![\w€%])(?! ?(?:€|euros?\b|jours?\b|mois\b|ans\b|km\b))"
)
_NO_FILE: Final = re.compile(
    r"(?:19|20)\d\d(?:[-/](?:(?:19|20)?\d\d))?|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}|(?:\d{4}-\d\d-\d\d)|\d{1,2} ?[h:] ?\d{0,2}"
)


def emails(folded: Folded) -> Iterator[Span]:
    """Yield where an e-mail address stands, spelled out or not."""
    yield from (found.span() for found in _EMAIL.finditer(folded.text))


def ibans(folded: Folded) -> Iterator[Span]:
    """Yield where an international bank account number stands, cut to the length that its country has."""
    for start in _IBAN_START.finditer(folded.text):
        compact = start[0].replace(" ", "").replace("-", "")
        missing = IBAN_LENGTHS.get(compact[:2], 0) - len(compact)
        rest = _IBAN_REST.match(folded.text, start.end())
        if missing <= 0 or rest is None:
            continue
        places = [place for place in range(*rest.span()) if folded.text[place].isalnum()][:missing]
        if len(places) == missing and is_iban(compact + "".join(folded.text[place] for place in places)):
            yield start.start(), places[-1] + 1


def nirs(folded: Folded) -> Iterator[Span]:
    """Yield where a social security number stands, with its key or, when sex, month and department are possible, without."""
    for found in _NIR.finditer(folded.text):
        number = re.sub(r"[ .-]", "", found[1])
        if found[2] and is_nir(number, re.sub(r"[ .-]", "", found[2])):
            yield found.span()
        elif can_be_nir(number) and not re.match(r"[ .-]?\d", folded.text[found.end(1) : found.end(1) + 2]):
            yield found.span(1)


def cards(folded: Folded) -> Iterator[Span]:
    """Yield where the number of a payment card stands."""
    yield from (found.span() for found in _CARD.finditer(folded.text) if is_card(re.sub(r"[ .-]", "", found[0])))


def phones(folded: Folded) -> Iterator[Span]:
    """Yield where a telephone number stands, in any grouping; the 08 of services is nobody's own and stays."""
    for pattern in _PHONES:
        for found in pattern.finditer(folded.text):
            if not _DATES_IN_A_ROW.search(found[0]):
                yield found.span()


def plates(folded: Folded) -> Iterator[Span]:
    """Yield where a number plate stands, in the series since 2009 or the one before."""
    for pattern in (_PLATE, _OLD_PLATE):
        for found in pattern.finditer(folded.text):
            if found[0].count("-") == _HYPHENS or _is_plate(folded, found, old=pattern is _OLD_PLATE):
                yield found.span()


def _is_plate(folded: Folded, found: re.Match[str], *, old: bool) -> bool:
    """Return whether what may also be a quantity ("de 750 kg") or a date is a plate."""
    if _NO_PLATE.intersection(re.findall("[a-z]+", found[0])):
        return False
    if _VEHICLE.search(folded.text[max(0, found.start() - _BEFORE) : found.start()]):
        return True
    in_capitals = folded.cased[found.start() : found.end()].isupper() and not folded.shouted
    return in_capitals or not (old or " " in found[0])


def birth_dates(folded: Folded) -> Iterator[Span]:
    """Yield where a date of birth stands: a date after a word for being born."""
    yield from (found.span(1) for found in _BIRTH_DATE.finditer(folded.text))


def file_numbers(folded: Folded) -> Iterator[Span]:
    """Yield where the number of a file, a demand or an identity document stands, after its name."""
    for found in _FILE.finditer(folded.text):
        digits = sum(map(str.isdigit, found[2]))
        least = 3 if found[1].strip() or re.search("[a-z]", found[2]) else 5
        if digits >= least and not _NO_FILE.fullmatch(found[2]):
            yield found.span(2)
