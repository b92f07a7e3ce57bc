"""What the prober's log says of a ledger that could not be verified."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from passerelle.errors import NotFoundError

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
    assert verified(program, tmp_path) == ("False\n", f"passerelle: the ledger of comments cannot be verified: {reason}\n")


def test_a_folder_whose_objects_are_all_deleted_is_nothing_to_verify(tmp_path: Path) -> None:
    answer = json.dumps({"error": {"code": NotFoundError.code, "message": "nothing here knows it", "hint": None}})
    assert verified(f"print({answer!r}); raise SystemExit({NotFoundError.exit_code})", tmp_path) == ("True\n", "")


def verified(program: str, tmp_path: Path) -> tuple[str, str]:
    """Return what the verification gives and logs where `passerelle` is this program."""
    (tmp_path / "passerelle").mkdir()
    (tmp_path / "passerelle" / "__init__.py").touch()
    (tmp_path / "passerelle" / "__main__.py").write_text(program)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT / 'deploy' / 'mlflow'}"}
    done = subprocess.run([sys.executable, "-c", VERIFY], env=environment, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout, done.stderr
