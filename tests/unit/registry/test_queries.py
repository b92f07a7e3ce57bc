from typing import Any

import pytest
from mlflow.utils import search_utils

from passerelle.errors import UsageError
from passerelle.registry.entities import having, quoted

MLFLOW: Any = search_utils


@pytest.mark.parametrize("value", ["churn", "l'urgence", 'the "second" one', r"a\b", "50% of_all -- and ; more"])
def test_mlflow_reads_back_what_is_searched_for(value: str) -> None:
    tags = {"passerelle.other_class": value, "passerelle.seed": "0"}
    assert {found["key"]: found["value"] for found in MLFLOW.SearchUtils.parse_search_filter(having(tags))} == tags
    assert MLFLOW.SearchModelVersionUtils.parse_search_filter(f"name = {quoted(value)}")[0]["value"] == value


def test_a_value_with_quotes_of_both_kinds_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot search for"):
        quoted("""l'"urgence\"""")
