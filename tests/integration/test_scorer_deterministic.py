"""A model compiles to the same bytes each time: registration compiles anew and compares before it signs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from skops.io import dump

from passerelle.model.manifest import digests_of_files
from tests.unit.scorer.scorer_cases import fitted

pytestmark = pytest.mark.integration

CASES = (("stop words", "logistic"), ("mixed preprocessing", "svm, sigmoid"), ("hashed", "logistic"), ("two columns", "complement"))
COMPILE = """
import sys
from pathlib import Path
from skops.io import get_untrusted_types, load
from passerelle.scorer.compile.pipeline import compile_pipeline
from passerelle.scorer.storage import pack

for path in sorted(Path(sys.argv[1]).glob("*.skops")):
    pack(compile_pipeline(load(path, trusted=get_untrusted_types(file=path))), Path(sys.argv[2]) / path.stem)
"""


def test_the_bytes_are_the_same_in_another_process(tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    for features, classifier in CASES:
        dump(fitted(features, classifier), models / f"{features}, {classifier}.skops")
    compiled = []
    for seed, threads in (("1", "1"), ("2", "2")):
        folder = tmp_path / seed
        folder.mkdir()
        environment = {**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        subprocess.run([sys.executable, "-c", COMPILE, str(models), str(folder)], env=environment, check=True, timeout=600)
        compiled.append(digests_of_files(folder))
    assert len(list((tmp_path / "1").iterdir())) == len(CASES)
    assert compiled[0] == compiled[1]
