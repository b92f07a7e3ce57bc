"""The environment of an adopted model in an image: laid out as Python reads it, and with the shared libraries that it lacks."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SOURCE = Path(__file__).resolve().parents[5] / "src" / "passerelle" / "bentos" / "image"
LDD = """
    linux-vdso.so.1 (0x00007ffd)
    libgomp.so.1 => not found
    libstdc++.so.6 => /usr/lib/x86_64-linux-gnu/libstdc++.so.6 (0x00007f1)
    libcudart.so.12 => not found
"""


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, which finds its neighbours beside it in the image."""
    monkeypatch.syspath_prepend(str(SOURCE))
    spec = importlib.util.spec_from_file_location("model_environment", SOURCE / "adopted" / "model_environment.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_an_environment_is_what_python_takes_for_one(tool: ModuleType, tmp_path: Path) -> None:
    packages = tool.environment(tmp_path / "model", Path("/usr/local/bin/python3.11"), "3.11")
    assert packages == tmp_path / "model" / "lib" / "python3.11" / "site-packages"
    assert packages.is_dir()
    assert (tmp_path / "model" / "bin" / "python").readlink() == Path("/usr/local/bin/python3.11")
    assert "home = /usr/local/bin\n" in (tmp_path / "model" / "pyvenv.cfg").read_text()


def test_a_library_that_the_system_lacks_comes_from_a_package_that_brings_it(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tool.lacking(LDD) == {"libgomp.so.1", "libcudart.so.12"}
    packages = tmp_path / "packages"
    for name in ("lightgbm/lib/lib_lightgbm.so", "scikit_learn.libs/libgomp-a34b3233.so.1.0.0"):
        (packages / name).parent.mkdir(parents=True)
        (packages / name).write_text(name)
    monkeypatch.setattr(tool.subprocess, "run", lambda *_, **__: type("Done", (), {"stdout": LDD}))
    assert list(tool.complete(packages, tmp_path / "libraries")) == ["libcudart.so.12"]
    (found,) = (path for path in (tmp_path / "libraries").rglob("*") if path.is_file())
    assert (found.name, found.read_text()) == ("libgomp.so.1", "scikit_learn.libs/libgomp-a34b3233.so.1.0.0")


def test_only_what_no_model_needs_is_left_out(tool: ModuleType, tmp_path: Path) -> None:
    kept = ("spacy/tests/a.py", "skimage/__init__.pyi", "numpy/testing/a.py", "triton/a.h")
    gone = ("numpy/lib/tests/a.py", "sklearn/svm/tests/a.py", "pandas/tests/a.py", "bin/mlflow", ".lock")
    for name in (*kept, *gone):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    tool.leave_out(tmp_path)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} == set(kept)


def test_another_python_than_the_bases_is_refused(tool: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="the model asks for 3\\.8"):
        tool.make(tmp_path / "lock", tmp_path, "3.8", same=True)
    assert sys.version_info >= (3, 9)
