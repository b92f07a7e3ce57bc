"""What a verdict is worth, in sentences: which look at its rows it is, and which difference those rows could have shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from passerelle.criteria import Champion
from passerelle.gate.comparison_text import Language
from passerelle.gate.interval import DifferenceInterval
from passerelle.gate.messages import decimals
from passerelle.gate.spending import is_worn, level_of_look
from passerelle.registry.looks import LookTaken

_TEXTS: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "again": "This is look {number} at these rows, or at most of them.",
        "first_compared": "This is the first look at these rows next to the version in production.",
        "again_compared": "This is look {number} at these rows, or at most of them, next to the version in production.",
        "worn": "They are worn; 'passerelle train --refresh-held-out' holds out fresh ones.",
        "uncounted": "This look could not be counted, since nothing may be written: the next one gets the same number.",
        "lost": "Earlier looks that were removed, changed or forged: {lost}; each counts as one at these rows.",
        "unknown": "Earlier looks that MLflow does not know, or no longer: {unknown}; they count.",
        "unsigned": "Earlier looks without a signature since looks are signed: {unsigned}.",
        "power": "On {rows} rows ({groups} without near-duplicates), a model passes at most with a chance of {level} if it is really "
        "{worse}, and 4 times in 5 if the true difference is {seen}.",
        "worse": "{margin} worse",
        "no_better": "no better",
    },
    "fr": {
        "again": "C'est l'examen n° {number} de ces lignes, ou de la plupart d'entre elles.",
        "first_compared": "C'est le premier examen de ces lignes face à la version en production.",
        "again_compared": "C'est l'examen n° {number} de ces lignes, ou de la plupart d'entre elles, face à la version en production.",
        "worn": "Elles sont usées : « passerelle train --refresh-held-out » en met d'autres de côté.",
        "uncounted": "Cet examen n'a pas pu être compté, faute de droit d'écriture : le suivant aura le même numéro.",
        "lost": "Examens antérieurs supprimés, modifiés ou falsifiés : {lost} ; chacun compte comme un examen de ces lignes.",
        "unknown": "Examens antérieurs que MLflow ne connaît pas, ou plus : {unknown} ; ils comptent.",
        "unsigned": "Examens antérieurs sans signature depuis qu'ils sont signés : {unsigned}.",
        "power": "Sur {rows} lignes ({groups} sans les quasi-doublons), un modèle passe avec une probabilité de {level} au plus s'il est "
        "réellement {worse}, et 4 fois sur 5 si l'écart réel est de {seen}.",
        "worse": "moins bon de {margin}",
        "no_better": "pas meilleur",
    },
}


def worth(difference: DifferenceInterval | None, look: LookTaken | None, rule: Champion, language: Language) -> tuple[str, ...]:
    """Return the sentences; none where nothing was looked at.

    Args:
        difference: From the champion, if there is one.
        look: Which one this is, at these rows.
        rule: How both were compared.
    """
    return tuple(_sentences(difference, look, rule, language))


def _sentences(difference: DifferenceInterval | None, look: LookTaken | None, rule: Champion, language: Language) -> Iterator[str]:
    texts = _TEXTS[language]
    if look is not None and (difference or look.number > 1):
        key = ("first" if look.number == 1 else "again") + ("_compared" if difference else "")
        yield texts[key].format(number=look.number)
    if look is not None:
        if difference and is_worn(level_of_look(look.number, rule.level), rule.level):
            yield texts["worn"]
        if look.lost:
            yield texts["lost"].format(lost=look.lost)
        if look.unknown:
            yield texts["unknown"].format(unknown=look.unknown)
        if look.unsigned:
            yield texts["unsigned"].format(unsigned=look.unsigned)
        if not look.counted:
            yield texts["uncounted"]
    if difference is not None:
        worse = texts["no_better" if rule.superior or not rule.margin else "worse"].format(margin=_figure(f"{rule.margin:g}", language))
        level = _figure(f"{100 * difference.level:.2g}%", language)
        seen = _figure(f"{difference.seen(rule):+.3f}", language)
        rows, groups = (_figure(f"{number:,}", language) for number in (difference.rows, difference.groups))
        yield texts["power"].format(rows=rows, groups=groups, level=level, worse=worse, seen=seen)


def _figure(text: str, language: Language) -> str:
    return decimals(text) if language == "fr" else text
