"""A packed scorer answers where scikit-learn is not even imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.scorer.scorer_cases import fitted
from tests.unit.scorer.test_scorer_packed import hold_same

pytestmark = pytest.mark.integration

ALONE = """
import sys
from pathlib import Path
from passerelle.scorer.storage import unpack
scorer = unpack(Path(sys.argv[1]), pipeline_label=lambda _: None)
print(scorer.labels([{"text": "carte d'identité"}, {"text": ""}])[0])
loaded = {"sklearn", "scipy", "pandas", "skops"} & set(sys.modules)
assert not loaded, loaded
"""


def test_reading_and_answering_need_no_scikit_learn(tmp_path: Path) -> None:
    pipeline = fitted("demo", "svm, sigmoid")
    hold_same(pipeline, tmp_path / "scorer")
    done = subprocess.run([sys.executable, "-c", ALONE, str(tmp_path / "scorer")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
