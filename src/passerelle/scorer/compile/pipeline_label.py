"""The label that a fitted pipeline itself gives to one record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin


def pipeline_label(pipeline: ClassifierMixin, question: Mapping[str, object] | str) -> object:
    """Return the label of one record.

    Args:
        pipeline: A fitted scikit-learn classifier.
        question: The record, or its text where the pipeline takes texts rather than a table.
    """
    if isinstance(question, str):
        return pipeline.predict([question]).tolist()[0]
    import pandas as pd  # noqa: PLC0415 - only needed where rounding decides, and slow to import

    table = pd.DataFrame({column: pd.Series([value], dtype=object) for column, value in question.items()})
    return pipeline.predict(table).tolist()[0]
