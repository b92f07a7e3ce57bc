"""From records, as JSON has them, to what a model takes."""

from __future__ import annotations

import json
from typing import Any


def table_of(records: list[dict[str, Any]], record: dict[str, Any]) -> Any:
    """Return the records in the form that adoption recorded.

    Args:
        records: Each has the columns of the signature.
        record: Of the adoption.
    """
    columns = [each["name"] for each in json.loads(record["signature"]["inputs"])]
    if record["input_form"] != "table":
        texts = [each.get(columns[0]) for each in records]
        return _texts(texts, record["input_form"])
    import pandas as pd

    return pd.DataFrame(records, columns=columns)


def _texts(texts: list[Any], form: str) -> Any:
    if form == "list":
        return texts
    if form == "series":
        import pandas as pd

        return pd.Series(texts)
    import numpy as np

    return np.array(texts, dtype=object)
