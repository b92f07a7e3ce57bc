"""Write what a release consists of to a folder: wheel, sdist, bill of materials, checksums and notes.

The same commit gives the same bytes: the times are the commit's, and the build backend is the locked one.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_TIMEOUT_S = 300
_SECTION = re.compile(r"^## \[(?P<name>[^\]]+)\].*?\n(?P<text>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def version_of(root: Path) -> str:
    """Return the version, which pyproject.toml and the package must agree on; exits otherwise."""
    version = str(tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])
    tree = ast.parse((root / "src/passerelle/__init__.py").read_text(encoding="utf-8"))
    assigned = [node for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__"]
    package = ast.literal_eval(assigned[0].value)
    if package != version:
        sys.exit(f"pyproject.toml has version {version}, and src/passerelle/__init__.py has {package}")
    return version


def notes_of(changelog: str, version: str, *, tagged: bool = False) -> str:
    """Return the section of a version in CHANGELOG.md; that of the next release where the version has neither one nor a tag yet."""
    sections = {found["name"]: found["text"].strip() + "\n" for found in _SECTION.finditer(changelog)}
    for name in (version,) if tagged else (version, "Unreleased"):
        if sections.get(name, "\n") != "\n":
            return sections[name]
    sys.exit(f"CHANGELOG.md has no section for {version}")


def check_tag(version: str, tags: list[str]) -> None:
    """Check that a tag of the commit, where it has one, is the version's; exits otherwise."""
    wrong = [tag for tag in tags if tag != f"v{version}"]
    if wrong:
        sys.exit(f"the commit has the tag {wrong[0]}, and the version is {version}")


def checksums(folder: Path) -> str:
    """Return the lines that `sha256sum --check` reads, for every file of the folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}\n" for path in files)


def write_release(root: Path, folder: Path) -> None:
    """Write the release of the commit that is checked out; exits if files differ from it."""
    if changed := _output("git", "-C", str(root), "status", "--porcelain"):
        sys.exit(f"a release is made from a commit, and these files differ from it:\n{changed}")
    with tempfile.TemporaryDirectory(prefix="passerelle-release-") as temporary:
        # Git can be told to overlook files, by .git/info/exclude or `update-index --assume-unchanged`; a clone holds the commit alone.
        commit = Path(temporary) / "passerelle"
        _output("git", "clone", "--quiet", "--shared", str(root), str(commit))
        tags = _output("git", "-C", str(root), "tag", "--points-at", "HEAD", "--list", "v*").split()
        _write(commit, tags, folder)


def _write(root: Path, tags: list[str], folder: Path) -> None:
    """Write the release of a clone whose commit has these tags."""
    version = version_of(root)
    check_tag(version, tags)
    notes = notes_of((root / "CHANGELOG.md").read_text(encoding="utf-8"), version, tagged=bool(tags))
    epoch = _output("git", "-C", str(root), "log", "-1", "--pretty=%ct")
    environment = {**os.environ, "SOURCE_DATE_EPOCH": epoch}
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tools = Path(sys.executable).parent
    with_locked_backend = ("--no-build-isolation", "--python", sys.executable)
    packages = ("--out-dir", str(folder / "packages"))
    _output(str(tools / "uv"), "build", "--quiet", *with_locked_backend, *packages, str(root), environment=environment)
    (folder / "packages" / ".gitignore").unlink(missing_ok=True)
    inputs = ("--pyproject", str(root / "pyproject.toml"), str(root / "requirements" / "workbench.txt"))
    bill = (str(tools / "cyclonedx-py"), "requirements", "--output-reproducible", "--mc-type", "library", "--output-file")
    _output(*bill, str(folder / "sbom.cdx.json"), *inputs, environment=environment)
    (folder / "NOTES.md").write_text(notes, encoding="utf-8")
    (folder / "SHA256SUMS").write_text(checksums(folder), encoding="utf-8")


def _output(*command: str, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    if done.returncode != 0:
        sys.exit(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


if __name__ == "__main__":
    target = ROOT / sys.argv[1]
    write_release(ROOT, target)
    sys.stdout.write(f"{(target / 'SHA256SUMS').read_text(encoding='utf-8')}")
