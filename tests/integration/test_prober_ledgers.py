"""What the prober's log says of a ledger that could not be verified."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]
VERIFY = "import os, prober_ledgers; print(prober_ledgers._verified('comments', dict(os.environ)))"


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (f"{'# a long file' * 99}\nimport no_such_package", "ModuleNotFoundError: No module named 'no_such_package'"),
        ('import sys; print(\'{"error": "MLflow does not answer"}\'); sys.exit(3)', '{"error": "MLflow does not answer"}'),
        ("import sys; sys.exit('killed')", "killed"),
    ],
)
def test_it_is_the_error_at_the_end_of_a_traceback_or_the_answer(program: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "passerelle").mkdir()
    (tmp_path / "passerelle" / "__init__.py").touch()
    (tmp_path / "passerelle" / "__main__.py").write_text(program)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT / 'deploy' / 'mlflow'}"}
    done = subprocess.run([sys.executable, "-c", VERIFY], env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert (done.stdout, done.stderr) == ("False\n", f"passerelle: the ledger of comments cannot be verified: {reason}\n")
