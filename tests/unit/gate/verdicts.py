"""Verdicts on made-up models, for tests of what is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import numpy as np
import pandas as pd

from passerelle.criteria import Criteria
from passerelle.gate.checks import all_findings
from passerelle.gate.evidence import Contender, Evidence
from passerelle.gate.paired import paired_difference
from passerelle.gate.scores import Scores
from passerelle.gate.verdict import Verdict
from passerelle.model.record import Column
from passerelle.names import ModelVersionRef

#: Of a first look.
LEVEL = 0.045
CLASSES = ("Pb de suivi /Délai", "Rendez-vous", "Voirie & <propreté>")


def scores(truth: list[int], said: list[int], *, sure: float = 0.7) -> Scores:
    """Return a model that says these classes with this probability."""
    probabilities = np.full((len(said), len(CLASSES)), (1 - sure) / (len(CLASSES) - 1))
    probabilities[np.arange(len(said)), said] = sure
    names = np.array(CLASSES)
    return Scores(names[truth], names[said], probabilities, CLASSES, 4.0, 1e6)


def contender(version: int, of: Scores, **changed: Any) -> Contender:
    """Return a model with these scores."""
    content: dict[str, Any] = {
        "candidate": f"candidate_{version}",
        "columns": (Column("text", "string"),),
        "libraries": {"scikit-learn": "1.9.1", "numpy": "2.4.6"},
        "train_hashes": frozenset(map(str, range(100))),
        "memory_mib": 20.0,
    }
    return Contender(version=version, scores=of, **(content | changed))


def sentence(place: int) -> str:
    """Return a text that is no near-duplicate of the others."""
    return f"{sha256(bytes([place % 256, place // 256])).hexdigest()[:16]} est cassé <b>depuis</b> trois mois"


def evidence(challenger: Contender, champion: Contender | None = None, **changed: Any) -> Evidence:
    """Return the evidence with as many short texts as there are scores."""
    rows = len(challenger.scores.truth)
    content: dict[str, Any] = {
        "records": pd.DataFrame({"text": [sentence(place) for place in range(rows)]}),
        "held_out": rows,
        "leaked": 0,
        "champion_columns": champion.columns if champion else None,
        "serving": {"scikit-learn": "1.9.0", "numpy": "2.4.6"},
    }
    return Evidence(registered_model="classification", challenger=challenger, champion=champion, **(content | changed))


def verdict(of: Evidence, criteria: Mapping[str, Any]) -> Verdict:
    """Return the verdict as the gate comes to it once the evidence is there."""
    rules = Criteria.model_validate(criteria)
    difference = None
    if of.champion:
        mine, rule = of.challenger.scores, rules.champion.model_copy(update={"resamples": 200})
        groups = np.arange(len(mine.truth))
        difference = paired_difference(mine.truth, of.champion.scores.predicted, mine.predicted, groups, rule, level=LEVEL)
    return Verdict(
        ModelVersionRef("classification", 2, "r" * 32),
        rules.digest,
        of,
        difference,
        all_findings(of, rules, difference),
        rule=rules.champion,
    )
