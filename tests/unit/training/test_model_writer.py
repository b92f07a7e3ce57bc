"""A model's schema is written in less time, and character for character as skops writes it."""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
import skops.io._persist as skops_persist
from sklearn.ensemble import GradientBoostingClassifier
from skops.io.exceptions import UntrustedTypesFoundException

from passerelle.training.model_writer import fast_schema, types_checked_alone
from training.candidates import text_candidates

CHARACTERS = {"été": 1, "a \x7f b": 2, "🎉": "🎉 \\u00e9", '"': "\t\x00\x1f\u2028", "empty": [{}, [], ()]}
NUMBERS = {"numbers": [float("nan"), float("inf"), 1e-7, 1e300, -0.0, 2**70, True, None]}
SURROGATE = {"half of a pair": "\ud800", "é": 1}


def schema(content: bytes) -> str:
    """Return the schema without the addresses of temporary objects."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return re.sub(r"(?<=\"__id__\": )\d+", "N", archive.read("schema.json").decode())


def fitted_candidate() -> Any:
    texts = pd.DataFrame({"text": ["où en est le suivi ?", "la rue est sale", "merci beaucoup", "une fête à la plage"]})
    return text_candidates()[1].pipeline.fit(texts, np.array(["Accès", "Propreté", "Accès", "Propreté"]))


@pytest.mark.parametrize("content", [fitted_candidate, lambda: CHARACTERS, lambda: NUMBERS, lambda: SURROGATE])
def test_the_schema_is_the_one_that_skops_writes(content: Any) -> None:
    value = content()
    expected = skops.io.dumps(value)
    with fast_schema():
        assert skops_persist.json is not json
        found = skops.io.dumps(value)
    assert skops_persist.json is json
    assert len(found) == len(expected)
    assert schema(found) == schema(expected)
    skops.io.loads(found)


def test_a_type_that_is_not_trusted_is_found_as_by_a_load(tmp_path: Path) -> None:
    path, loads = tmp_path / "model.skops", skops.io.load
    skops.io.dump(GradientBoostingClassifier(n_estimators=1).fit([[0.0], [1.0]], [0, 1]), path)
    untrusted = skops.io.get_untrusted_types(file=path)
    with pytest.raises(UntrustedTypesFoundException) as expected:
        skops.io.load(path)
    with types_checked_alone():
        with pytest.raises(UntrustedTypesFoundException, match=re.escape(str(expected.value))):
            skops.io.load(path, trusted=[])
        assert skops.io.load(path, trusted=untrusted) is None
    assert skops.io.load is loads


def test_a_surrogate_is_left_to_the_standard_library() -> None:
    with fast_schema():
        assert skops_persist.json.dumps(SURROGATE, indent=2) == json.dumps(SURROGATE, indent=2)
        assert skops_persist.json.dumps(CHARACTERS, indent=2) == json.dumps(CHARACTERS, indent=2)
