"""The messages of the checks of the rows, in French and in English, and the names of those checks."""

from __future__ import annotations

import re
from collections.abc import Mapping

ROW_MESSAGES: Mapping[str, Mapping[str, str]] = {
    "en": {
        "reference_unseen": "the training did not know the reference, and its data is not here ({why}): duplicates cannot be looked for",
        "reference_labels": "the reference has labels that the model does not: {labels}",
        "contradicts": "{rows} of {of} rows that {source} knows too have another label there ({pairs}): at most {asked} may",
        "recipes_worse": "by cross-validation, its recipe is worse than that of version {version}, in production: {figure} by {difference}",
        "recipes_not_better": "by cross-validation, its recipe is not better than that of version {version}, in production: "
        "{figure} by {difference}",
        "recipes_too_few": "too few rows to tell by cross-validation next to the recipe of version {version}, in production: {figure} by "
        "{difference}, whose lower end must be {asked}",
        "known_to_champion": "version {version}, in production, learned all {of} held-out rows, and the recipes are not compared: {why}",
        "recipes_none": "unknown: version {version}, in production, learned {rows} of {of} held-out rows, and the recipes are not "
        "compared: {why}",
        "behaviour_low": "{failed} of {of} cases of the behaviour suite fail, {asked} must pass: {cases}",
        "behaviour_labels": "the behaviour suite asks for labels that the model does not have: {labels}",
        "behaviour_columns": "the behaviour suite has texts, and the model takes other columns: {columns}",
    },
    "fr": {
        "reference_unseen": "l'entraînement ne connaissait pas la référence, et ses données ne sont pas ici ({why}) : "
        "les quasi-doublons ne peuvent être cherchés",
        "reference_labels": "la référence a des thèmes que le modèle n'a pas : {labels}",
        "contradicts": "{rows} lignes sur {of} que connaît aussi {source} y ont un autre thème ({pairs}) : {asked} au plus sont admises",
        "recipes_worse": "par validation croisée, sa recette est moins bonne que celle de la version {version}, en production ; "
        "écart de {figure} : {difference}",
        "recipes_not_better": "par validation croisée, sa recette n'est pas meilleure que celle de la version {version}, en production ; "
        "écart de {figure} : {difference}",
        "recipes_too_few": "trop peu de lignes pour conclure par validation croisée face à la recette de la version {version}, en "
        "production ; écart de {figure} : {difference}, dont la borne inférieure doit être {asked}",
        "known_to_champion": "la version {version}, en production, a appris les {of} lignes de test, et les recettes ne sont pas "
        "comparées : {why}",
        "recipes_none": "inconnu : la version {version}, en production, a appris {rows} lignes de test sur {of}, et les recettes ne sont "
        "pas comparées : {why}",
        "behaviour_low": "{failed} cas sur {of} de la suite de comportement échouent, {asked} doivent passer : {cases}",
        "behaviour_labels": "la suite de comportement demande des thèmes que le modèle n'a pas : {labels}",
        "behaviour_columns": "la suite de comportement a des textes, et le modèle prend d'autres colonnes : {columns}",
    },
}
ROW_NAMES: Mapping[str, Mapping[str, str]] = {
    "en": {
        "reference": "reference test set",
        "contradictions": "labels that contradict",
        "recipes": "both recipes, by cross-validation",
        "behaviour": "behaviour suite",
    },
    "fr": {
        "reference": "jeu de référence",
        "contradictions": "thèmes contradictoires",
        "recipes": "les deux recettes, par validation croisée",
        "behaviour": "suite de comportement",
    },
}


#: Why rows or recipes are not there: what `GateInputs.training_rows` and the evidence of the rows say, and the same in French.
_WHY_IN_FRENCH = tuple(
    (re.compile(english), french)
    for english, french in (
        (r"an adopted model has no recipe", r"un modèle adopté n'a pas de recette"),
        (r"a recipe cannot be fitted again \((.*)\)", r"une recette ne s'entraîne plus (\1)"),
        (r"the project names no data", r"le projet ne nomme pas de données"),
        (
            r"passerelle.toml names no data of this model: write its file below the model's data",
            r"passerelle.toml ne nomme pas les données de ce modèle : y écrire leur fichier",
        ),
        (
            r"the project's data cannot be read \((.*)\): put the file whose digest is (.*) where passerelle.toml names it",
            r"les données du projet ne peuvent être lues (\1) : mettre le fichier d'empreinte \2 là où passerelle.toml le nomme",
        ),
        (
            r"(.*) is not what it was trained on: put the file whose digest is (.*) there, or train again on this one",
            r"\1 n'est pas ce sur quoi il a appris : y mettre le fichier d'empreinte \2, ou entraîner à nouveau sur celui-ci",
        ),
    )
)


def why_in_french(why: str) -> str:
    """Return why rows or recipes are not there in French; as it is where it is none of the reasons known here."""
    found = ((pattern.fullmatch(why), french) for pattern, french in _WHY_IN_FRENCH)
    return next((match.expand(french) for match, french in found if match), why)


def source_in_french(source: str) -> str:
    """Return what knows rows too, a version or a file, with its article where it has one in French."""
    return f"la {source}" if re.fullmatch(r"version \d+", source) else source
