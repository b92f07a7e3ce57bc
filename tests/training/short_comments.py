"""A hundred made-up comments in three classes, for trainings that take seconds."""

from __future__ import annotations

import pandas as pd

from passerelle.training.candidate import Candidate
from passerelle.training.dataset import Dataset, digest_of
from training.candidates import text_candidates

OPENINGS = ("Bonjour,", "Madame, Monsieur,", "URGENT", "Depuis lundi", "svp", "Encore une fois", "Merci de noter :", "J'attends")
SUBJECTS = {
    "Pb de suivi /Délai": ("aucune réponse à mon dossier", "toujours rien reçu", "délai dépassé pour ma demande", "où en est le suivi"),
    "Propreté": ("les poubelles débordent", "la rue est sale", "des encombrants sur le trottoir", "corbeilles jamais vidées"),
    "Accès / Connexion": ("mot de passe refusé", "compte bloqué", "impossible de me connecter", "page de connexion en erreur"),
}


def comments() -> Dataset:
    rows = [
        (f"{opening} {subject}, {opening.lower()[::-1]} {number * 7919}", label)
        for label, subjects in SUBJECTS.items()
        for number, subject in enumerate(subjects)
        for opening in OPENINGS
    ]
    records, labels = pd.DataFrame({"text": [text for text, _ in rows]}), pd.Series([label for _, label in rows], name="label")
    return Dataset(records, labels, digest_of(records, labels), "comments.csv", "text")


def some(*names: str) -> tuple[Candidate, ...]:
    return tuple(candidate for candidate in text_candidates() if candidate.name in names)
