"""A prediction log of eleven weeks, in the last of which three things went wrong: `python -m tests.drift.simulated_month FOLDER`.

A strike of the street cleaners doubles a label and brings words that the training did not know; a residents' campaign sends the same text
again and again; and the service answers half as fast.
"""

from __future__ import annotations

import hashlib
import math
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import orjson

from passerelle.criteria import Drift
from passerelle.monitoring.daily_sample import sample_of
from passerelle.monitoring.drift.signals import HISTORY
from passerelle.monitoring.prediction_log.record import LoggedFeedback, LoggedPrediction

LAST_DAY = date(2026, 1, 31)
WRONG_FROM = LAST_DAY - timedelta(days=7)
MODEL, VERSION, RUN = "classification", "3", "0a1b2c3d"
STRIKE, CAMPAIGN = "Propreté", "Espaces verts"
ANSWERS = 260
TOPICS: dict[str, tuple[float, tuple[str, ...]]] = {
    "Voirie": (0.19, ("trottoir", "nid-de-poule", "chaussée", "pavés", "travaux")),
    STRIKE: (0.13, ("poubelles", "dépôt sauvage", "corbeille", "encombrants", "balayage")),
    "Stationnement": (0.14, ("voiture ventouse", "livraison", "macaron", "horodateur", "trottinette")),
    CAMPAIGN: (0.09, ("square", "arbre", "pelouse", "jardinière", "élagage")),
    "Éclairage": (0.08, ("lampadaire", "candélabre", "ampoule", "nuit noire")),
    "Nuisances sonores": (0.10, ("bruit", "terrasse", "musique", "klaxon")),
    "Pb de suivi /Délai": (0.09, ("aucune réponse", "relance", "dossier", "délai")),
    "Écoles": (0.07, ("cantine", "périscolaire", "inscription", "classe")),
    "Transports": (0.06, ("bus", "arrêt", "piste cyclable", "feu rouge")),
    "État civil": (0.05, ("passeport", "rendez-vous", "acte de naissance")),
}
USUAL = (
    "Bonjour, il y a un problème de {} dans ma rue depuis {} jours.",
    "Pouvez-vous faire quelque chose pour {} ? Cela dure depuis {} jours.",
)
ON_STRIKE = "Bonjour, avec la grève des éboueurs les sacs débordent partout, {} depuis {} jours."
SAME = "Nous refusons l'abattage des platanes de la place et demandons une concertation avec les riverains."


def identifier(rng: np.random.Generator, at: datetime) -> str:
    """Return an id as the service makes them, the same each time."""
    milliseconds, random = int(at.timestamp() * 1000), int(rng.integers(1 << 42))
    value = milliseconds << 80 | 7 << 76 | (random & 0xFFF) << 64 | 0b10 << 62 | (random >> 12) << 32 | int(RUN, 16)
    return str(uuid.UUID(int=value))


def answers_of(rng: np.random.Generator, day: date, volume: float) -> Iterator[LoggedPrediction]:
    """Yield the answers of a day."""
    wrong = day >= WRONG_FROM
    labels, shares = list(TOPICS), np.array([share for share, _ in TOPICS.values()])
    if wrong:
        shares[labels.index(STRIKE)] *= 2.3
    shares = shares * np.exp(rng.normal(0.0, 0.08, len(labels)))
    weekday = (1.2, 1.15, 1.1, 1.1, 1.05, 0.75, 0.65)[day.weekday()]
    for number in rng.choice(len(labels), rng.poisson(volume * weekday), p=shares / shares.sum()):
        at = datetime(day.year, day.month, day.day, 7, tzinfo=UTC) + timedelta(seconds=float(rng.uniform(0, 14 * 3600)))
        label = labels[number]
        subjects = TOPICS[label][1]
        words = (subjects[rng.integers(len(subjects))], int(rng.integers(2, 40)))
        new = wrong and label == STRIKE and rng.random() < 0.7
        text = ON_STRIKE.format(*words) if new else USUAL[rng.integers(len(USUAL))].format(*words)
        if wrong and rng.random() < 0.1:
            label, text = CAMPAIGN, SAME
        yield answer(rng, at, label, text, new=new, slow=wrong)


def answer(rng: np.random.Generator, at: datetime, label: str, text: str, *, new: bool, slow: bool) -> LoggedPrediction:
    """Return the record of one answer."""
    probability = round(min(max(rng.normal(0.62 if new else 0.76, 0.16), 0.2), 0.99), 4)
    return LoggedPrediction(
        prediction_id=identifier(rng, at),
        at=at.isoformat(timespec="milliseconds"),
        registered_model=MODEL,
        model_version=VERSION,
        artifact_digest="sha256:3",
        key_name="portal",
        label=label,
        probability=probability,
        second_label=None,
        second_probability=None,
        review=probability < 0.5,
        characters=len(text),
        words=len(text.split()),
        known_ngrams=round(min(max(rng.normal(0.55 if new else 0.86, 0.08), 0.0), 1.0), 4),
        latency_ms=round((2.6 if slow else 1.3) * math.exp(rng.normal(0.0, 0.4)), 3),
        batch=False,
        record_digest=hashlib.sha256(text.encode() if text == SAME else rng.bytes(16)).hexdigest(),
        redaction=1,
        fields={"text": text},
    )


def feedback_of(rng: np.random.Generator, answers: list[LoggedPrediction], day: date) -> Iterator[LoggedFeedback]:
    """Yield the labels of the daily random sample, and the corrections that agents make where they disagree."""
    sample = set(sample_of([each.prediction_id for each in answers], day, Drift().sample_size))
    for each in answers:
        right = rng.random() < 0.84
        if each.prediction_id in sample or (not right and rng.random() < 0.1):
            label = each.label if right else str(rng.choice([label for label in TOPICS if label != each.label]))
            yield LoggedFeedback(each.prediction_id, each.at, MODEL, "agents", label, "agent-1")


def write_month(log: Path, *, seed: int = 0, last: date = LAST_DAY, days: int = HISTORY, volume: float = ANSWERS) -> None:
    """Write the log, one file of lines a day."""
    rng = np.random.default_rng(seed)
    (log / "closed").mkdir(parents=True, exist_ok=True)
    for back in range(days - 1, -1, -1):
        day = last - timedelta(days=back)
        answers = list(answers_of(rng, day, volume))
        for kind, records in (("predictions", answers), ("feedback", list(feedback_of(rng, answers, day)))):
            lines = b"".join(orjson.dumps(record._asdict()) + b"\n" for record in records)
            (log / "closed" / f"{kind}-{day:%Y%m%d}T000000-1-0.jsonl").write_bytes(lines)


if __name__ == "__main__":
    write_month(Path(sys.argv[1]))
