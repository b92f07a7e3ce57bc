"""The code of a bento: what bentofile.yaml includes, from the project or from the installed package, and its digest over exactly that."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import bentoml
import pytest

import passerelle
from passerelle.bentos.code import _may_hold, add_package, code_digest, code_files
from passerelle.bentos.image_labels import default_image_name
from passerelle.errors import UsageError
from passerelle.names import CODE_DIGEST
from tests.syntax_trees import nodes_of

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A project that holds the package's serving code itself, as the checkout does."""
    for name, path in code_files(ROOT).items():
        (tmp_path / "checkout" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, tmp_path / "checkout" / name)
    return tmp_path / "checkout"


@pytest.fixture
def outside(checkout: Path, tmp_path: Path) -> Path:
    """The same project without the package."""
    shutil.copytree(checkout, tmp_path / "outside", ignore=shutil.ignore_patterns("src"))
    return tmp_path / "outside"


@pytest.mark.parametrize("room", ["scorer", "model", "serving", "monitoring"])
def test_a_change_in_any_room_of_the_bento_changes_the_digest(checkout: Path, room: str) -> None:
    before = code_digest(checkout)
    with (checkout / "src" / "passerelle" / room / "__init__.py").open("a") as module:
        module.write("# changed\n")
    assert code_digest(checkout) != before


def test_a_second_clone_cannot_move_the_tags_of_the_first(checkout: Path, tmp_path: Path) -> None:
    def image_name(clone: Path) -> str:
        info = SimpleNamespace(labels={CODE_DIGEST: code_digest(clone)})
        return default_image_name(cast(bentoml.Bento, SimpleNamespace(tag="classification:1-0a1b2c3d", info=info)))

    shutil.copytree(checkout, tmp_path / "second")
    first = image_name(checkout)
    assert image_name(tmp_path / "second") == first, "the same model and the same code are the same image"
    with (tmp_path / "second" / "service.py").open("a") as file:
        file.write("# changed\n")
    assert image_name(tmp_path / "second") != first == image_name(checkout)


def test_the_bento_holds_every_module_that_the_service_imports() -> None:
    included, found, unread = set(code_files(ROOT)), set[str](), ["service.py"]
    while unread:
        found |= (new := set(_imported(ROOT / unread.pop())) - found)
        unread += new
    assert len(found) > 50
    assert sorted(found - included) == []


def _imported(path: Path) -> Iterator[str]:
    """Yield the files of the package that a module imports, at its top or late."""
    names: list[str] = []
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}", *(f"{node.module}.{alias.name}" for alias in node.names)]
    for name in names:
        for file in (f"src/{name.replace('.', '/')}.py", f"src/{name.replace('.', '/')}/__init__.py"):
            if name.startswith("passerelle.") and (ROOT / file).is_file():
                yield file


def test_what_the_bento_does_not_hold_leaves_the_digest_alone(checkout: Path) -> None:
    before = code_digest(checkout)
    for stray in ("training/a.py", "src/passerelle/cli/main.py", "src/passerelle/serving/__pycache__/a.py", ".venv/service.py"):
        (checkout / stray).parent.mkdir(parents=True, exist_ok=True)
        (checkout / stray).write_text("stray = 1\n")
    assert code_digest(checkout) == before


def test_outside_of_the_checkout_the_installed_package_gives_the_same_bento(checkout: Path, outside: Path, tmp_path: Path) -> None:
    assert code_digest(outside) == code_digest(checkout)
    code = tmp_path / "bento" / "src"
    code.mkdir(parents=True)
    shutil.copyfile(outside / "bentofile.yaml", code / "bentofile.yaml")
    add_package(code)
    added = {path.relative_to(code).as_posix(): path.read_bytes() for path in (code / "src").rglob("*") if path.is_file()}
    assert added == {name: path.read_bytes() for name, path in code_files(checkout).items() if name.startswith("src/passerelle/")}
    assert added["src/passerelle/__init__.py"] == Path(passerelle.__file__).read_bytes()


def test_a_project_that_holds_the_package_keeps_its_own(checkout: Path) -> None:
    own = checkout / "src" / "passerelle" / "errors.py"
    own.write_text("# of the team\n")
    add_package(checkout)
    assert own.read_text() == "# of the team\n"


@pytest.mark.parametrize("name", ["bentofile.yaml", "service.py", "requirements/scorer.txt", "requirements/service.txt"])
def test_a_file_that_the_bentofile_names_and_the_project_lacks_is_named(outside: Path, name: str) -> None:
    (outside / name).unlink()
    with pytest.raises(UsageError, match=f"holds no {name}") as refused:
        code_files(outside)
    assert refused.value.hint


def test_a_folder_that_cannot_be_read_matters_only_where_the_bento_takes_files_from_it(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("deploy/secrets", "src/passerelle/scorer/parts"):
        (checkout / name).mkdir(parents=True)
    closed, listed = {checkout / "deploy" / "secrets"}, Path.iterdir

    def iterdir(folder: Path) -> Iterator[Path]:
        if folder in closed:
            raise PermissionError(13, "Permission denied")
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    assert code_files(checkout)
    closed.add(checkout / "src" / "passerelle" / "scorer" / "parts")
    with pytest.raises(UsageError, match="parts cannot be read: Permission denied") as caught:
        code_files(checkout)
    assert caught.value.hint == f"ls -ld {checkout / 'src' / 'passerelle' / 'scorer' / 'parts'}"


@pytest.mark.parametrize(
    ("pattern", "holds"),
    [("**", True), ("*.py", True), ("/deploy/**/*.py", True), ("deploy/", True), ("/deploy/a/b.py", True), ("/src/*.py", False),
     ("/deploying/*.py", False), ("/dep*/x.py", True), ("/*.py", True)],
)  # fmt: skip
def test_folders_are_read_that_a_pattern_reaches(pattern: str, holds: bool) -> None:
    assert _may_hold("deploy", [pattern]) is holds
