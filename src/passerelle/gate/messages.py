"""The messages of the checks in French and in English, and the names of checks and figures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from passerelle.gate.comparison_text import COMPARISON, Language
from passerelle.gate.row_messages import ROW_MESSAGES, ROW_NAMES, source_in_french, why_in_french


@dataclass(frozen=True)
class Message:
    """One thing that is wrong with a model.

    Attributes:
        key: Of `MESSAGES`.
        values: What its text names. Those in `_NAMED` are figures and slices, which have a name in each language.
    """

    key: str
    values: Mapping[str, str] = field(default_factory=dict)


__all__ = ["Language", "Message", "decimals", "message_text"]

_NAMED = ("figure", "slice")
_TASKS = ("task", "champion_task")
#: What was done to a row, in French.
_CHANGES: Mapping[str, str] = {
    "as it is": "telle quelle",
    "made up": "texte inventé",
    "other spaces": "autres espaces",
    "other capitals": "autres majuscules",
    "other accents": "autres accents",
    "words added": "mots ajoutés",
    "words removed": "mots retirés",
    "an n-gram more": "un n-gramme en plus",
    "an n-gram alone": "un n-gramme seul",
}
_FIGURES = ("measured", "asked", "difference", "seen", "needed", "judged", "own", "chance", "largest")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3})")
_POINT = re.compile(r"(?<=\d)\.(?=\d)")
_PERCENT = re.compile(r"(?<=\d) ?%")
#: Of each task.
TASKS: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "classification": "classification",
        "regression": "regression",
        "multilabel": "several labels a record",
        "multioutput": "several outputs a record",
        "clustering": "clustering",
        "other": "other",
    },
    "fr": {
        "classification": "classification",
        "regression": "régression",
        "multilabel": "plusieurs étiquettes par ligne",
        "multioutput": "plusieurs sorties par ligne",
        "clustering": "partitionnement",
        "other": "autre",
    },
}
MESSAGES: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "leaked": "{rows} of {of} held-out rows were learned from: the figures say nothing",
        "few_rows": "only {rows} held-out rows are left, {asked} are asked for",
        "scorer_files": "the registered scorer is not what the model compiles to: {files}",
        "scorer_foreign": "it has a scorer that answers in production, and its model compiles to none",
        "scorer_answers": "what answers in production differs from what is judged: {labels} of {of} labels, probabilities by "
        "up to {largest}, first at row {row} ({change})",
        "label_told": "{own} of the records hold the words of their own label, {chance} those of another: the label leaked into the text",
        "signature": "the signature is {ours}, the champion's is {theirs}: clients would break",
        "classes_lacks": "the set of labels lacks {missing}",
        "classes_adds": "the set of labels adds {new}",
        "classes_both": "the set of labels lacks {missing} and adds {new}",
        "library": "made with {name} {made}, the serving image has {there}",
        "library_unknown": "the version of {names} in the serving image is not known",
        "library_unstated": "the model does not say which versions of its libraries it was made with",
        "rows_fewer": "it learned from {ours} rows, the champion from {theirs}: at least {least} are asked for",
        "rows_unknown": "the run of version {version} no longer says what it learned from: its data/train_hashes.json is gone",
        "never": "never predicted: {labels}",
        "swapped": "swapped: {pairs} get each other's label in most rows",
        "unmeasured": "{figure} cannot be measured: the model gives no probabilities",
        "too_low": "{figure} is {measured}, at least {asked} is asked for",
        "too_high": "{figure} is {measured}, at most {asked} is asked for",
        "class_low": "F1 of '{label}' is {measured}, at least {asked} is asked for",
        "class_unknown": "the criteria ask {asked} of {label}, which no held-out row has",
        "slice_low": "accuracy on the slice {slice} ({rows} rows) is {measured}, at least {asked} is asked for",
        "label_low": "accuracy on the label '{label}' ({rows} rows) is {measured}, at least {asked} is asked for",
        **COMPARISON["en"],
        "unscored": "version {version}, which is in production, takes other columns: it is not scored on these rows, and not compared",
        "leakage_unknown": "unknown: nobody knows which rows the adopted model learned from, and these may be among them",
        "no_rows": "unknown: there are no labelled rows, so nothing was judged but latency, size and memory",
        "rows_of_adopted": "unknown: nobody knows how many rows an adopted model learned from",
        "champion_unknown": "unknown: without labelled rows it is not compared with version {version}, which is in production",
        "task": "its task is {task}, that of the version in production is {champion_task}: clients would break",
        **ROW_MESSAGES["en"],
    },
    "fr": {
        "leaked": "{rows} lignes de test sur {of} ont servi à l'apprentissage : les mesures ne disent rien",
        "few_rows": "il ne reste que {rows} lignes de test, il en faut {asked}",
        "scorer_files": "le scoreur enregistré n'est pas celui que donne le modèle : {files}",
        "scorer_foreign": "un scoreur répond en production, alors que le modèle n'en donne aucun",
        "scorer_answers": "ce qui répond en production diffère de ce qui est jugé : {labels} thèmes sur {of}, probabilités "
        "jusqu'à {largest}, d'abord à la ligne {row} ({change})",
        "label_told": "{own} des textes contiennent les mots de leur propre thème, {chance} ceux d'un autre : le thème a fui dans le texte",
        "signature": "la signature est {ours}, celle de la production {theirs} : les clients ne fonctionneraient plus",
        "classes_lacks": "il manque des thèmes : {missing}",
        "classes_adds": "il y a des thèmes en plus : {new}",
        "classes_both": "il manque des thèmes : {missing} ; il y en a en plus : {new}",
        "library": "fait avec {name} {made}, l'image de service contient {there}",
        "library_unknown": "on ne sait pas quelle version l'image de service contient de : {names}",
        "library_unstated": "le modèle ne dit pas avec quelles versions de ses bibliothèques il a été fait",
        "rows_fewer": "il a appris sur {ours} lignes, la production sur {theirs} : il en faut au moins {least}",
        "rows_unknown": "l'entraînement de la version {version} ne dit plus sur quoi elle a appris : data/train_hashes.json a disparu",
        "never": "jamais donnés : {labels}",
        "swapped": "échangés : {pairs} ont le thème l'un de l'autre sur la plupart des lignes",
        "unmeasured": "{figure} : pas mesurable, le modèle ne donne pas de probabilités",
        "too_low": "{figure} : {measured}, il faut au moins {asked}",
        "too_high": "{figure} : {measured}, il faut au plus {asked}",
        "class_low": "F1 de « {label} » : {measured}, il faut au moins {asked}",
        "class_unknown": "les critères demandent {asked} à {label}, qu'aucune ligne de test ne porte",
        "slice_low": "exactitude sur la tranche « {slice} » ({rows} lignes) : {measured}, il faut au moins {asked}",
        "label_low": "exactitude sur le thème « {label} » ({rows} lignes) : {measured}, il faut au moins {asked}",
        **COMPARISON["fr"],
        "unscored": "la version {version}, en production, prend d'autres colonnes : elle n'est pas évaluée sur ces lignes, ni comparée",
        "leakage_unknown": "inconnu : personne ne sait sur quelles lignes le modèle adopté a appris, celles-ci peuvent en être",
        "no_rows": "inconnu : il n'y a pas de lignes étiquetées, rien n'a été jugé hormis la latence, la taille et la mémoire",
        "rows_of_adopted": "inconnu : personne ne sait sur combien de lignes un modèle adopté a appris",
        "champion_unknown": "inconnu : sans lignes étiquetées, il n'est pas comparé à la version {version}, en production",
        "task": "sa tâche est « {task} », celle de la production « {champion_task} » : les clients ne fonctionneraient plus",
        **ROW_MESSAGES["fr"],
    },
}
#: Of each check and figure.
NAMES: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "leakage": "learned from held-out rows",
        "scorer": "what answers is what is judged",
        "label_in_text": "label in the text",
        "signature": "signature",
        "classes": "labels",
        "libraries": "libraries",
        "training_rows": "rows learned from",
        "never_predicted": "labels never given",
        "swapped": "labels swapped",
        "accuracy": "accuracy",
        "macro_f1": "macro F1",
        "log_loss": "log loss",
        "calibration_error": "calibration error",
        "latency_p95_ms": "processor time of an answer, 95th percentile",
        "size_bytes": "size",
        "memory_mib": "memory",
        "class_f1": "F1 by class",
        "slice short": "short texts",
        "slice capitals": "texts in capitals",
        "slice no_accents": "texts without accents",
        "slice label": "weakest label",
        "champion": "next to production",
        "task": "task",
        "mae": "mean absolute error",
        "rmse": "root mean squared error",
        "r2": "R²",
        "exact_match": "all labels right",
        **ROW_NAMES["en"],
    },
    "fr": {
        "leakage": "lignes de test apprises",
        "scorer": "ce qui répond est ce qui est jugé",
        "label_in_text": "thème dans le texte",
        "signature": "signature",
        "classes": "thèmes",
        "libraries": "bibliothèques",
        "training_rows": "lignes d'apprentissage",
        "never_predicted": "thèmes jamais donnés",
        "swapped": "thèmes échangés",
        "accuracy": "exactitude",
        "macro_f1": "F1 macro",
        "log_loss": "perte logarithmique",
        "calibration_error": "erreur de calibration",
        "latency_p95_ms": "temps processeur d'une réponse, 95e centile",
        "size_bytes": "taille",
        "memory_mib": "mémoire",
        "class_f1": "F1 par thème",
        "slice short": "textes courts",
        "slice capitals": "textes en majuscules",
        "slice no_accents": "textes sans accents",
        "slice label": "thème le plus faible",
        "champion": "comparaison avec la production",
        "task": "tâche",
        "mae": "erreur absolue moyenne",
        "rmse": "racine de l'erreur quadratique moyenne",
        "r2": "R²",
        "exact_match": "toutes les étiquettes justes",
        **ROW_NAMES["fr"],
    },
}


def message_text(message: Message, language: Language | None = None) -> str:
    """Return the message in the language; without one, in English with figures under their names in the criteria, for errors and logs."""
    if language != "fr":
        message = replace(message, values={key: english_quotes(value) for key, value in message.values.items()})
    if language is None:
        return MESSAGES["en"][message.key].format_map(message.values)
    names = NAMES[language]
    named = {key: names.get(value, names.get(f"slice {value}", value)) if key in _NAMED else value for key, value in message.values.items()}
    named |= {key: TASKS[language].get(value, value) for key, value in message.values.items() if key in _TASKS}
    if language == "fr":
        named |= {key: _CHANGES.get(value, value) for key, value in message.values.items() if key == "change"}
        named |= {key: why_in_french(value) for key, value in message.values.items() if key == "why"}
        named |= {key: source_in_french(value) for key, value in message.values.items() if key == "source"}
        named |= {key: decimals(value) for key, value in message.values.items() if key in _FIGURES}
    return MESSAGES[language][message.key].format_map(named)


def english_quotes(text: str) -> str:
    """Return a text that was put together for both languages, with the quotation marks of English."""
    return text.replace("« ", "'").replace(" »", "'")


def decimals(figures: str) -> str:
    """Return figures as French has them: 1 234,5 and 5 %."""
    found = _POINT.sub(",", _THOUSANDS.sub("\N{NARROW NO-BREAK SPACE}", figures.replace(", ", " ; ")))
    return _PERCENT.sub("\N{NO-BREAK SPACE}%", found)
