"""Make the environment of an adopted model at its fixed place. Runs while an image is built, on the Python that the model asks for."""

from __future__ import annotations

import compileall
import platform
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from closure import LEFT_OUT, copied, linked
from install import install
from symbols import leave_out_symbols

PLACE, OTHER_PYTHON, LIBRARIES = Path("/opt/model"), Path("/opt/python"), Path("/libraries")
#: Of the packages that nearly every model has: tests, and what was compiled for them. Other packages stay as they were installed.
TESTS = ("numpy/**/tests", "scipy/**/tests", "pandas/tests", "sklearn/**/tests", "joblib/test", "pyarrow/tests", "pyarrow/include")
COMPILED_TESTS = ("numpy/_core/_simd.*.so", "numpy/_core/_*_tests.*.so", "scipy/**/_test_*.so")
STRIPPED = ("numpy", "scipy", "pandas", "sklearn", "lightgbm", "xgboost", "pyarrow", "onnxruntime")


def make(requirements: Path, wheels: Path, python: str, *, same: bool) -> Path:
    """Make the environment and return the folder of its packages.

    Args:
        requirements: Locked, with hashes.
        wheels: Folder that packages are installed from where it holds any.
        python: The minor version that the model asks for.
        same: Whether the image has this Python anyway, so that the environment needs none of its own.
    """
    found = f"{sys.version_info.major}.{sys.version_info.minor}"
    if found != python:
        sys.exit(f"the base image has Python {found}, and the model asks for {python}")
    interpreter = Path(sys.executable).resolve() if same else own_python(Path(sys.executable).resolve(), OTHER_PYTHON)
    packages = environment(PLACE, interpreter, found)
    install(requirements, packages, wheels)
    leave_out(packages)
    compileall.compile_dir(packages, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH, maxlevels=20)
    return packages


def environment(place: Path, interpreter: Path, version: str) -> Path:
    """Write an empty virtual environment around an interpreter and return the folder of its packages."""
    packages = place / "lib" / f"python{version}" / "site-packages"
    for folder in (packages, place / "bin"):
        folder.mkdir(parents=True)
    for name in ("python", "python3"):
        (place / "bin" / name).symlink_to(interpreter)
    lines = (f"home = {interpreter.parent}", "include-system-site-packages = false", f"version = {platform.python_version()}")
    (place / "pyvenv.cfg").write_text("\n".join(lines) + "\n")
    return packages


def own_python(interpreter: Path, root: Path) -> Path:
    """Copy an interpreter, its library and its shared library below a root, and return its place there."""
    library = Path(sysconfig.get_path("stdlib"))
    shutil.copytree(library, root / "lib" / library.name, symlinks=True, ignore=shutil.ignore_patterns(*LEFT_OUT))
    (root / "bin").mkdir()
    shutil.copy2(interpreter, root / "bin" / interpreter.name)
    for shared in (interpreter.parents[1] / "lib").glob(f"lib{library.name}*.so*"):
        shutil.copy2(shared, root / "lib" / shared.name, follow_symlinks=False)
    return root / "bin" / interpreter.name


def leave_out(packages: Path) -> None:
    """Remove what only a developer of the packages needs."""
    for folder in [path for pattern in TESTS for path in packages.glob(pattern) if path.is_dir()]:
        shutil.rmtree(folder, ignore_errors=True)
    for path in [path for pattern in COMPILED_TESTS for path in packages.glob(pattern)]:
        path.unlink()
    for path in [path for name in STRIPPED for path in (packages / name).rglob("*.so*") if path.is_file()]:
        leave_out_symbols(path)
    shutil.rmtree(packages / "bin", ignore_errors=True)
    (packages / ".lock").unlink(missing_ok=True)


def lacking(output: str) -> set[str]:
    """Return the shared libraries that the loader does not find, from what ldd prints."""
    return set(re.findall(r"^\s*(\S+) => not found$", output, re.MULTILINE))


def given_by_another(packages: Path, name: str) -> Path | None:
    """Return the copy of a shared library that another package brings for itself; None where none does.

    LightGBM expects the system to have `libgomp.so.1`; the base image has none, and scikit-learn brings one.
    """
    stem = name.partition(".so")[0]
    copies = sorted(packages.glob(f"*.libs/{stem}-*.so*"))
    return copies[0] if copies else None


def complete(packages: Path, libraries: Path) -> Iterator[str]:
    """Put the shared libraries that the loader does not find below a root, from the packages; yield those that none has."""
    binaries = [path for path in packages.rglob("*.so*") if path.is_file()]
    there = {path.name for path in binaries}
    target = libraries / "usr" / "lib" / str(sysconfig.get_config_var("MULTIARCH"))
    # Never empty: Docker's former builder fails on a layer after an empty one.
    target.mkdir(parents=True)
    names: set[str] = set()
    for path in binaries:
        names |= lacking(subprocess.run(["ldd", str(path)], capture_output=True, text=True, check=False).stdout)  # noqa: S607
    for name in sorted(names - there):
        found = given_by_another(packages, name)
        if found is None:
            yield name
        else:
            shutil.copy2(found, target / name)


def add_linked(packages: Path, libraries: Path) -> None:
    """Put all shared libraries that the packages are linked with below the root: for an image that has only what it needs."""
    found = {library for path in packages.rglob("*.so*") if path.is_file() for library in linked(path)}
    for path in sorted(path for path in found if not path.is_relative_to(packages)):
        copied(path, libraries)


if __name__ == "__main__":
    if sys.argv[1] == "linked":
        add_linked(next(PLACE.glob("lib/python*/site-packages")), LIBRARIES)
    else:
        installed = make(Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4], same=sys.argv[5] == "same")
        for missing in complete(installed, LIBRARIES):
            print(f"{missing}, which a package is linked with, is not in this image")
