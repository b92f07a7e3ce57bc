"""Texts about drift, in French and in English."""

from __future__ import annotations

from collections.abc import Mapping

from passerelle.monitoring.drift.drift_result import DriftResult, Signal
from passerelle.monitoring.drift.numbers_shown import Language, calendar_day, figure, number

MEASURE_NAMES: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "labels": "share of the label",
        "review": "share to review",
        "confidence": "mean probability",
        "unknown_ngrams": "unknown n-grams",
        "length": "length",
        "duplicates": "repeated records",
        "other_language": "other languages",
        "corrections": "corrected answers",
        "accuracy": "accuracy on the daily sample",
        "latency": "latency",
    },
    "fr": {
        "labels": "part du thème",
        "review": "part à relire",
        "confidence": "probabilité moyenne",
        "unknown_ngrams": "n-grammes inconnus",
        "length": "longueur",
        "duplicates": "textes répétés",
        "other_language": "autres langues",
        "corrections": "réponses corrigées",
        "accuracy": "exactitude sur l'échantillon quotidien",
        "latency": "temps de réponse",
    },
}
TEXTS: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "title": "Drift report",
        "alarm": "Alarm",
        "quiet": "Nothing unusual",
        "too_few": "Too few answers to tell",
        "no_answers": "No answers on this day",
        "silence": "no answer for {days} days",
        "few": "{answers} answers in four weeks, and a window needs {least}",
        "day": "Day",
        "window": "Window",
        "window_days": "{days} days to {day}",
        "answers": "Answers",
        "of_day": "that day",
        "versions": "Versions that answered",
        "version": "version",
        "new_version": "Another version answers since {day}: a difference from the month before may be its own.",
        "estimated": "Estimated accuracy",
        "estimated_note": "mean probability; calibration error of version {version} on held-out rows: {error}",
        "estimated_unknown": "mean probability; how well it is calibrated is not known",
        "sample": "Accuracy on the daily random sample",
        "sample_note": "{count} of {of} labelled answers of four weeks are right; 95 % interval {low} to {high}",
        "corrected": "Corrected by people",
        "corrected_note": "{count} of {of}; people correct what they disagree with: says little of the other answers",
        "refused": "Refused or failed requests",
        "refused_note": "{count} of {of} since the service started",
        "figures": "Figures",
        "figure": "Figure",
        "now": "This window",
        "month": "Month before",
        "training": "Held-out rows",
        "verdict": "Verdict",
        "p": "p",
        "p_note": "p: chance of such a difference without drift; for labels, adjusted for all of them.",
        "verdict_alarm": "alarm",
        "verdict_counts": "first day",
        "verdict_quiet": "usual",
        "verdict_unknown": "not known",
        "labels": "Labels",
        "labels_note": "Share of the answers with each label.",
        "label": "Label",
        "left_out": "{labels} rarer labels, all usual, are not shown.",
        "days": "Day by day",
        "days_note": "The window is shaded.",
        "as_table": "as a table",
        "words": "Words that came up",
        "words_note": "In at least five texts, more often than in the month before; from redacted texts, {texts} in the window.",
        "word": "Word",
        "texts": "Texts",
        "no_words": "No word came up.",
        "latency_p95": "latency, 95th percentile",
        "most_repeated": "The most repeated record of a day came {times} times.",
        "unknown": "What is not known",
        "unknown_held_out": "How the version does on held-out rows: its training stored none, or no registry is named.",
        "unknown_month": "The month before: the log holds too few answers of it, or fewer than three weeks.",
        "unknown_task": "Labels, confidence and accuracy: not for this task, since the model does not give one label to a record.",
        "unknown_probabilities": "Confidence: the model gives no probabilities.",
        "unknown_ngrams": "Unknown n-grams: the model is not compiled.",
        "unknown_digests": "Repeated records: the log holds no digests of them.",
        "unknown_texts": "Languages and new words: texts are not logged.",
        "unknown_sample": "Accuracy: nobody labelled answers of the daily random sample.",
        "next": "What to do",
        "next_alarm": "Look at the answers of the labels concerned, label the daily sample, and train again where the figures stay.",
        "criteria": "criteria",
        "from_to": "{name}: {value}, {reference} {against}",
        "against_month": "in the month before",
        "against_training": "on held-out rows",
    },
    "fr": {
        "title": "Rapport de dérive",
        "alarm": "Alerte",
        "quiet": "Rien d'inhabituel",
        "too_few": "Trop peu de réponses pour conclure",
        "no_answers": "Aucune réponse ce jour-là",
        "silence": "aucune réponse depuis {days} jours",
        "few": "{answers} réponses en quatre semaines ; il en faut {least} par fenêtre",
        "day": "Jour",
        "window": "Fenêtre",
        "window_days": "{days} jours jusqu'au {day}",
        "answers": "Réponses",
        "of_day": "ce jour-là",
        "versions": "Versions qui ont répondu",
        "version": "version",
        "new_version": "Une autre version répond depuis le {day} : un écart avec le mois précédent peut venir d'elle.",
        "estimated": "Exactitude estimée",
        "estimated_note": "probabilité moyenne ; erreur de calibration de la version {version} sur les lignes de test : {error}",
        "estimated_unknown": "probabilité moyenne ; sa calibration n'est pas connue",
        "sample": "Exactitude sur l'échantillon quotidien tiré au hasard",
        "sample_note": "{count} réponses justes sur {of} relues en quatre semaines ; intervalle à 95 % : {low} à {high}",
        "corrected": "Corrigées par des agents",
        "corrected_note": "{count} sur {of} ; on corrige ce qui surprend : cela dit peu des autres réponses",
        "refused": "Requêtes refusées ou en échec",
        "refused_note": "{count} sur {of} depuis le démarrage du service",
        "figures": "Mesures",
        "figure": "Mesure",
        "now": "Cette fenêtre",
        "month": "Mois précédent",
        "training": "Lignes de test",
        "verdict": "Verdict",
        "p": "p",
        "p_note": "p : probabilité d'un tel écart sans dérive ; pour les thèmes, corrigée de leur nombre.",
        "verdict_alarm": "alerte",
        "verdict_counts": "premier jour",
        "verdict_quiet": "habituel",
        "verdict_unknown": "pas connu",
        "labels": "Thèmes",
        "labels_note": "Part des réponses pour chaque thème.",
        "label": "Thème",
        "left_out": "{labels} thèmes plus rares, tous habituels, ne sont pas montrés.",
        "days": "Jour par jour",
        "days_note": "La fenêtre est grisée.",
        "as_table": "en tableau",
        "words": "Mots apparus",
        "words_note": "Dans au moins cinq textes, plus souvent que le mois précédent ; textes caviardés, {texts} dans la fenêtre.",
        "word": "Mot",
        "texts": "Textes",
        "no_words": "Aucun mot n'est apparu.",
        "latency_p95": "temps de réponse, 95e centile",
        "most_repeated": "Le texte le plus répété d'une journée est venu {times} fois.",
        "unknown": "Ce qui n'est pas connu",
        "unknown_held_out": "Les résultats sur des lignes de test : l'entraînement n'en a pas gardé, ou aucun registre n'est indiqué.",
        "unknown_month": "Le mois précédent : le journal en contient trop peu de réponses, ou moins de trois semaines.",
        "unknown_task": "Les thèmes, la confiance et l'exactitude : sans objet, car le modèle ne donne pas une étiquette par réponse.",
        "unknown_probabilities": "La confiance : le modèle ne donne pas de probabilités.",
        "unknown_ngrams": "Les n-grammes inconnus : le modèle n'est pas compilé.",
        "unknown_digests": "Les textes répétés : le journal n'en contient pas l'empreinte.",
        "unknown_texts": "Les langues et les mots apparus : les textes ne sont pas journalisés.",
        "unknown_sample": "L'exactitude : personne n'a relu de réponses de l'échantillon quotidien.",
        "next": "Que faire",
        "next_alarm": "Relire des réponses des thèmes concernés, étiqueter l'échantillon quotidien, et ré-entraîner si les écarts durent.",
        "criteria": "critères",
        "from_to": "{name} : {value}, contre {reference} {against}",
        "against_month": "le mois précédent",
        "against_training": "sur les lignes de test",
    },
}


_QUOTED: Mapping[Language, str] = {"en": "'{}'", "fr": "« {} »"}


def sentence(signal: Signal, language: Language) -> str:
    """Return what moved, from what to what."""
    name = MEASURE_NAMES[language][signal.measure]
    texts = TEXTS[language]
    return texts["from_to"].format(
        name=f"{name} {_QUOTED[language].format(signal.label)}" if signal.label else name,
        value=figure(signal.measure, signal.value, language),
        reference=figure(signal.measure, signal.reference, language),
        against=texts[f"against_{signal.against}"],
    )


def reasons(result: DriftResult, language: Language) -> tuple[str, ...]:
    """Return why the result is what it is, one sentence each."""
    texts, found = TEXTS[language], [sentence(signal, language) for signal in result.alarms]
    if result.silence:
        found.insert(0, texts["silence"].format(days=number(result.silent_days, language)))
    if result.state == "too_few":
        found.append(texts["few"].format(answers=number(result.window_answers, language), least=number(result.least, language)))
    if result.new_version_since is not None:
        found.append(texts["new_version"].format(day=calendar_day(result.new_version_since, language)))
    return tuple(found)
