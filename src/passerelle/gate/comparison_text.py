"""What the gate says of a challenger next to the version in production, in French and in English."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Language = Literal["fr", "en"]

#: Messages of the check `champion`.
COMPARISON: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "worse": "worse than version {version}, which is in production: {figure} differs by {difference}, and {asked} is asked for",
        "not_better": "not better than version {version}, which is in production: {figure} differs by {difference}, "
        "and {asked} is asked for",
        "too_few": "too few rows to tell next to version {version}, which is in production: {figure} differs by {difference}, whose lower "
        "end must be {asked}; on {judged} rows, a model passes 4 times in 5 if the true difference is {seen}; about {needed} rows would "
        "tell",
        "too_few_ever": "too few rows to tell next to version {version}, which is in production: {figure} differs by {difference}, whose "
        "lower end must be {asked}; on {judged} rows, a model passes 4 times in 5 if the true difference is {seen}",
    },
    "fr": {
        "worse": "moins bon que la version {version}, en production ; écart de {figure} : {difference}, il faut {asked}",
        "not_better": "pas meilleur que la version {version}, en production ; écart de {figure} : {difference}, il faut {asked}",
        "too_few": "trop peu de lignes pour conclure face à la version {version}, en production ; écart de {figure} : {difference}, dont "
        "la borne inférieure doit être {asked} ; sur {judged} lignes, un modèle passe 4 fois sur 5 si l'écart réel est de {seen} ; "
        "il faudrait environ {needed} lignes",
        "too_few_ever": "trop peu de lignes pour conclure face à la version {version}, en production ; écart de {figure} : {difference}, "
        "dont la borne inférieure doit être {asked} ; sur {judged} lignes, un modèle passe 4 fois sur 5 si l'écart réel est de "
        "{seen}",
    },
}
