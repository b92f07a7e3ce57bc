"""Golden predictions: inputs and the outputs that the training process saw, replayed at every later stage."""

from __future__ import annotations

import unicodedata
from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from passerelle.model.text_limits import TEXT_CHARACTERS, text_fault
from passerelle.training.dataset import TEXT
from passerelle.training.evaluate import predict

SCHEMA = 1
#: Largest difference of a probability that still counts as the same.
TOLERANCE = 1e-6


def golden_records(records: pd.DataFrame, labels: pd.Series, *, number: int) -> pd.DataFrame:
    """Return records worth replaying: some of each class, and odd ones.

    Args:
        records: Records of the training part.
        labels: One a record.
        number: Records to return; more when there are more classes than room for them.
    """
    is_text = list(records.columns) == [TEXT]
    if is_text:
        accepted = records[TEXT].map(_is_accepted)
        records, labels = records[accepted], labels[accepted]
    odd = _odd_texts(records) if is_text else _extreme_rows(records)
    shuffled = records.assign(_label=labels.to_numpy(), _order=np.arange(len(records)))
    shuffled["_turn"] = shuffled.groupby("_label").cumcount()
    usual = shuffled.sort_values(["_turn", "_label", "_order"]).drop(columns=["_label", "_order", "_turn"])
    count = max(number - len(odd), int(labels.nunique()))
    return pd.concat([usual.head(count), odd], ignore_index=True).astype(records.dtypes.to_dict())


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
    """Return unusual inputs: very short, very long, capitals, no accents, emoji, unknown words."""
    by_length = records[TEXT].sort_values(key=lambda texts: texts.str.len(), kind="stable")
    shortest, middle, longest = (str(by_length.iloc[place]) for place in (0, len(by_length) // 2, -1))
    decomposed = unicodedata.normalize("NFD", middle)
    without_accents = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    texts = [shortest, longest, middle.upper(), without_accents, decomposed, f"{middle} 😡🙏", "ok", "zzzz 404 ?!"]
    return pd.DataFrame({TEXT: [text for text in texts if _is_accepted(text)]})


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
