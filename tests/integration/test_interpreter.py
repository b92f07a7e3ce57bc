"""The libraries that a second training runs with: this environment's where they are the locked ones, else a new one's, by the real uv."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from passerelle.errors import IntegrityError, OutsideError
from passerelle.stages.interpreter import LOCKED, Interpreter
from passerelle.stages.interpreter import interpreter_for as interpreter_of
from passerelle.stages.reproduce import _trained

pytestmark = pytest.mark.integration

NAME = "passerelle-test-tiny"


def interpreter_for(checkout: Path, environment: Path, progress: Callable[[str], None]) -> Interpreter:
    return interpreter_of(checkout, environment, progress, path=os.environ["PATH"])


def silent(_: str) -> None:
    """Say nothing."""


def checkout(folder: Path, requirements: str) -> Path:
    (folder / LOCKED).parent.mkdir(parents=True)
    (folder / LOCKED).write_text(requirements)
    return folder


def tiny_wheel(folder: Path) -> str:
    """Write a wheel with one module; return the requirement that locks it."""
    module, folder_in = NAME.replace("-", "_"), f"{NAME.replace('-', '_')}-1.0.dist-info"
    wheel = folder / f"{module}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{module}.py", "HERE = True\n")
        archive.writestr(f"{folder_in}/METADATA", f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.0\n")
        archive.writestr(f"{folder_in}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{folder_in}/RECORD", f"{module}.py,,\n{folder_in}/METADATA,,\n{folder_in}/WHEEL,,\n{folder_in}/RECORD,,\n")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return f"--no-index\n--find-links {folder}\n{NAME}==1.0 \\\n    --hash=sha256:{digest}\n    # via nothing\n"


def test_equal_libraries_use_the_running_interpreter(tmp_path: Path) -> None:
    locked = f"numpy=={version('numpy')} \\\n    --hash=sha256:{'0' * 64}\nnobody-has-this==1 ; sys_platform == 'plan9'\n"
    found = interpreter_for(checkout(tmp_path / "checkout", locked), tmp_path / "environment", silent)
    assert found.python == Path(sys.executable)
    assert "of this environment, which are those of the commit" in found.note
    assert not (tmp_path / "environment").exists()


def test_the_projects_own_lock_is_what_runs_here(tmp_path: Path) -> None:
    found = interpreter_for(Path(__file__).resolve().parents[2], tmp_path / "environment", silent)
    assert found.python == Path(sys.executable), found.note


def test_a_commit_without_a_lock_is_said(tmp_path: Path) -> None:
    found = interpreter_for(tmp_path, tmp_path / "environment", silent)
    assert (found.python, "holds no requirements" in found.note) == (Path(sys.executable), True)


def test_different_libraries_make_an_environment_that_the_training_runs_in(tmp_path: Path) -> None:
    folder = checkout(tmp_path / "checkout", tiny_wheel(tmp_path))
    said: list[str] = []
    found = interpreter_for(folder, tmp_path / "environment", said.append)
    assert found.python == tmp_path / "environment" / "bin" / "python"
    assert "made of the commit" in found.note
    assert f"{NAME} is not installed, not ==1.0" in said[0]
    code = "import importlib.util as u, passerelle_test_tiny as t; print(t.HERE, u.find_spec('numpy'))"
    done = subprocess.run([found.python, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "True None"
    package = folder / "src" / "passerelle"
    package.mkdir(parents=True)
    answer = json.dumps({"data_digest": "sha256:d"})
    (package / "__main__.py").write_text(
        "import json, sys, passerelle_test_tiny\nprint('  candidate 1 of 2', file=sys.stderr)\n"
        f"print(json.dumps({answer} | {{'parent_run_id': sys.executable}}))\n"
    )
    said.clear()
    trained = _trained(folder, found.python, ["--seed", "0"], of_data=("sha256:d", 1), environment=os.environ, progress=said.append)
    assert trained == str(found.python)
    assert said == ["candidate 1 of 2"], "the progress of the training, and not that of its dry run"


def test_other_data_is_told_before_it_is_trained_on(tmp_path: Path) -> None:
    package = tmp_path / "src" / "passerelle"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(
        "import json, pathlib, sys\nif '--dry-run' not in sys.argv: pathlib.Path('trained').touch()\n"
        "print(json.dumps({'data_digest': 'sha256:other', 'parent_run_id': '1'}))\n"
    )
    with pytest.raises(IntegrityError, match=r"the data has the digest sha256:other…, version 1 was trained on sha256:d…"):
        _trained(tmp_path, Path(sys.executable), [], of_data=("sha256:d", 1), environment=os.environ)
    assert not (tmp_path / "trained").exists()


def test_an_environment_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    other = tiny_wheel(tmp_path).partition("sha256:")[0] + f"sha256:{'0' * 64}\n"
    with pytest.raises(OutsideError, match=r"workbench\.txt cannot be made") as refused:
        interpreter_for(checkout(tmp_path / "checkout", other), tmp_path / "environment", silent)
    assert "uv pip sync --require-hashes" in (refused.value.hint or "")
