"""Golden predictions: inputs and the outputs that the training process saw, replayed at every later stage."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from passerelle.model.boundaries import telling_places
from passerelle.model.text_limits import TEXT_CHARACTERS, text_fault
from passerelle.training.dataset import Kind, joined_texts
from passerelle.training.evaluate import predict

SCHEMA = 1
#: Largest difference of a probability that still counts as the same.
TOLERANCE = 1e-6
#: Most records that the model is asked about to find those near its boundaries, and the part of all golden records that they are.
_MOST_ASKED, _PART_NEAR_BOUNDARIES = 2_000, 4


def golden_records(records: pd.DataFrame, labels: pd.Series, *, kind: Kind, number: int, pipeline: Pipeline | None = None) -> pd.DataFrame:
    """Return records worth replaying: some of each class, those that a model can hardly decide about, and odd ones.

    Args:
        records: Records of the training part.
        labels: One a record.
        kind: Whether a record is texts or a row of features.
        number: Records to return; more when there are more classes than room for them.
        pipeline: The fitted one; without it nothing is known of its decision boundaries.
    """
    if kind == "text":
        accepted = records.apply(lambda column: column.map(_is_accepted)).all(axis=1)
        records, labels = records[accepted], labels[accepted]
    odd = _odd_texts(records) if kind == "text" else _extreme_rows(records)
    nearest = [] if pipeline is None else _near_boundaries(pipeline, records, number // _PART_NEAR_BOUNDARIES)
    rest = np.setdiff1d(np.arange(len(records)), nearest)
    shuffled = records.iloc[rest].assign(_label=labels.to_numpy()[rest], _order=rest)
    there = set(labels.iloc[nearest])
    shuffled["_turn"] = shuffled.groupby("_label").cumcount() + shuffled["_label"].isin(there)
    usual = shuffled.sort_values(["_turn", "_label", "_order"]).drop(columns=["_label", "_order", "_turn"])
    count = max(number - len(odd) - len(nearest), int(labels.nunique()) - len(there))
    return pd.concat([usual.head(count), records.iloc[nearest], odd], ignore_index=True).astype(records.dtypes.to_dict())


def _near_boundaries(pipeline: Pipeline, records: pd.DataFrame, most: int) -> list[int]:
    """Return the places of records near the boundaries between classes, and of one of each class that the model gives."""
    step = max(1, -(-len(records) // _MOST_ASKED))
    places = np.arange(0, len(records), step)
    answers = predict(pipeline, records.iloc[places])
    telling = telling_places(answers.labels.tolist(), answers.classes, answers.probabilities, most=most)
    return [int(places[place]) for place in telling]


def golden_predictions(pipeline: Pipeline, records: pd.DataFrame) -> dict[str, Any]:
    """Return the content of golden.json: the inputs with the labels and probabilities that the pipeline gives now."""
    predictions = predict(pipeline, records)
    return {
        "schema": SCHEMA,
        "inputs": records.to_dict(orient="records"),
        "labels": predictions.labels.tolist(),
        "classes": list(predictions.classes),
        "probabilities": None if predictions.probabilities is None else predictions.probabilities.tolist(),
        "tolerance": TOLERANCE,
    }


def _odd_texts(records: pd.DataFrame) -> pd.DataFrame:
    """Return unusual inputs: very short, very long, capitals, no accents, emoji, unknown words, and each text in the place of another."""
    by_length = records.loc[joined_texts(records).sort_values(key=lambda texts: texts.str.len(), kind="stable").index]
    shortest, middle, longest = (by_length.iloc[place] for place in (0, len(by_length) // 2, -1))
    odd = [shortest, longest, *(middle.map(change) for change in _CHANGES)]
    if len(records.columns) > 1:
        odd.append(pd.Series([*middle[1:], middle.iloc[0]], index=middle.index))
    return pd.DataFrame([row for row in odd if row.map(_is_accepted).all()], columns=records.columns)


def _without_accents(text: str) -> str:
    return "".join(letter for letter in unicodedata.normalize("NFD", text) if not unicodedata.combining(letter))


_CHANGES: tuple[Callable[[str], str], ...] = (
    str.upper,
    _without_accents,
    lambda text: unicodedata.normalize("NFD", text),
    lambda text: f"{text} 😡🙏",
    lambda _: "ok",
    lambda _: "zzzz 404 ?!",
)


def _is_accepted(text: str) -> bool:
    """Return whether a service with the usual limits accepts a text: a roll-out sends the golden inputs to it."""
    return len(text) <= TEXT_CHARACTERS and text_fault(text) is None


def _extreme_rows(records: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the smallest and the largest values, feature by feature in words, all at once in numbers."""
    numbers = records.select_dtypes("number")
    smallest, largest = records.iloc[[0]].copy(), records.iloc[[-1]].copy()
    for name in numbers.columns:
        smallest[name], largest[name] = numbers[name].min(), numbers[name].max()
    return pd.concat([smallest, largest])
