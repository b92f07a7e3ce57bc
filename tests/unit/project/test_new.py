"""A new project: whole or not at all, equal to this repository's own root, and told apart by its answers alone."""

from __future__ import annotations

import ast
import errno
import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from passerelle.cli.main import passerelle
from passerelle.errors import DataError, OutsideError, PasserelleError, UsageError
from passerelle.project.answers import answers, answers_of, check_name, similar
from passerelle.project.check import check_project
from passerelle.project.create import create
from passerelle.project.render import render, root_files
from passerelle.project_file import read_project_file
from passerelle.stages import new as stage
from passerelle.training.project import read_training_project

ROOT = Path(__file__).resolve().parents[3]
#: These say how this repository is worked on; a project's own say how a project is.
REPOSITORYS_OWN = {".github/workflows/ci.yml", ".gitlab-ci.yml", "Makefile", "README.md"}


def test_the_root_of_the_repository_is_such_a_project() -> None:
    files = render(answers_of(read_project_file(ROOT)))
    assert answers_of(read_project_file(ROOT)) == answers("classification")
    assert {name for name, content in files.items() if (ROOT / name).read_bytes() != content} == REPOSITORYS_OWN
    assert {
        "service.py",
        "bentofile.yaml",
        "passerelle.toml",
        "training/data/comments.csv",
        "training/tests/test_project.py",
    } < files.keys()
    assert not [name for name, _ in root_files() if "secret" in name.removeprefix("deploy/mlflow/secret.py") or ".env" in name]


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("table", [False, True])
@pytest.mark.parametrize("target", ["embedded", "compose", "kubernetes"])
def test_each_set_of_answers_gives_a_project_that_passes_its_check(tmp_path: Path, language: str, table: bool, target: str) -> None:
    asked = answers("mon-projet", language=language, table=table, target=target, label_column="motif")
    created = create(tmp_path / "mon-projet", asked)
    assert check_project(created.folder) == ()
    file = read_project_file(created.folder)
    assert answers_of(file) == asked
    assert file.variables["PASSERELLE_REGISTERED_MODEL"] == file.variables["PASSERELLE_EXPERIMENT"] == "mon-projet"
    data = read_training_project(created.folder).demo_data()
    assert data.kind == ("tabular" if table else "text")
    assert data.labels.value_counts().min() >= 6
    assert '"mon-projet:latest"' in (created.folder / "service.py").read_text()
    assert yaml.safe_load((created.folder / "bentofile.yaml").read_text())["name"] == "mon-projet"
    makefile = (created.folder / "Makefile").read_text()
    assert ("--target" in makefile) == (target != "embedded")
    assert not (set(created.files) ^ {path.relative_to(created.folder).as_posix() for path in created.folder.rglob("*") if path.is_file()})


def test_columns_get_the_names_that_were_asked_for(tmp_path: Path) -> None:
    created = create(tmp_path / "a", answers("a", text_columns=("label",), label_column="id"))
    assert (created.folder / "training/data/comments.csv").read_text().splitlines()[0] == "id_,label,id,difficulty"
    assert len(read_training_project(created.folder).demo_data().classes) == 11


def test_data_of_ones_own_are_copied_and_checked_first(tmp_path: Path) -> None:
    data = tmp_path / "wine.csv"
    data.write_text("a,b,y\n" + "".join(f"{n},{n % 3},{'x' if n % 2 else 'z'}\n" for n in range(20)))
    with pytest.raises(PasserelleError, match="nothing"):
        create(tmp_path / "p", answers("p", data=data, feature_columns=("a", "nothing"), label_column="y"), data=data)
    assert not (tmp_path / "p").exists()
    created = create(tmp_path / "p", answers("p", data=data, feature_columns=("a", "b"), label_column="y"), data=data)
    assert read_training_project(created.folder).demo_data().classes == ("x", "z")
    assert "training/data/README.md" not in created.files
    assert "training/data/wine.csv" not in json.loads((created.folder / ".passerelle-project.json").read_text())["files"]


@pytest.mark.parametrize("name", ["Mon-Projet", "été", "1a", "a_b", "a--b", "-a", "a/b", "", "class", "a" * 51, "a b", "a\n"])
def test_a_name_that_python_or_docker_cannot_take_is_refused_with_one_that_both_can(name: str) -> None:
    with pytest.raises(UsageError, match="cannot name a project") as refused:
        check_name(name)
    assert refused.value.hint == f"passerelle new {similar(name)}"
    check_name(similar(name))


@pytest.mark.parametrize(
    "given",
    [
        {"text_columns": ("t",), "table": True},
        {"feature_columns": ("a",)},
        {"table": True, "data": Path("a.csv")},
        {"label_column": "text"},
        {"language": "de"},
        {"target": "moon"},
    ],
)
def test_answers_that_contradict_each_other_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(UsageError) as refused:
        answers("a", **given)  # type: ignore[arg-type]
    assert (refused.value.hint or "").startswith("passerelle new")


def test_columns_that_the_data_lack_lead_to_the_same_command_with_those_that_it_has(tmp_path: Path) -> None:
    data = tmp_path / "mes données.csv"
    data.write_text("titre;thème\n" + "".join(f"une phrase numéro {row};{'ab'[row % 2]}\n" for row in range(20)))
    with pytest.raises(DataError, match="has no column 'text'") as refused:
        stage.run(tmp_path / "a", answers("a", data=data), data=data)
    assert refused.value.hint == f"passerelle new {tmp_path / 'a'} --data '{data}' --text-column titre --label-column 'thème'"


def test_a_name_that_cannot_be_used_leads_to_the_same_command_with_one_that_can(tmp_path: Path) -> None:
    typed = ["new", str(tmp_path / "Mes projets"), "--text-column", "le texte"]
    with pytest.raises(UsageError) as refused:
        passerelle.main(typed, standalone_mode=False)
    assert refused.value.hint == f"passerelle new '{tmp_path}/Mes projets' --text-column 'le texte' --name mes-projets"


def test_nothing_that_is_there_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("there", "file"):
        with pytest.raises(UsageError) as refused:
            create(tmp_path / name, answers("a"))
        assert refused.value.hint == f"passerelle new {tmp_path / name}-2"
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["mine.txt"]
    create(tmp_path / "a", answers("a"))
    with pytest.raises(UsageError, match="is a project already") as refused:
        create(tmp_path / "a", answers("a"))
    assert refused.value.hint == f"passerelle new {tmp_path / 'a'} --update"


def test_an_empty_folder_and_a_fresh_clone_are_filled(tmp_path: Path) -> None:
    (tmp_path / "clone" / ".git").mkdir(parents=True)
    created = create(tmp_path / "clone", answers("a"))
    assert (created.folder / "service.py").is_file()
    assert not (created.folder / ".new").exists()


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    planned = create(tmp_path / "a", answers("a"), dry_run=True)
    assert list(tmp_path.iterdir()) == []
    assert create(tmp_path / "a", answers("a")).files == planned.files


@pytest.mark.parametrize("there", [False, True])
def test_a_disk_that_cannot_be_written_leaves_nothing_and_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    if there:
        (tmp_path / "a").mkdir()
    number = iter(range(1_000))
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if next(number) > 10:
            raise OSError(errno.EROFS, "Read-only file system")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutsideError, match=r"cannot write the project to .*a: Read-only file system") as refused:
        create(tmp_path / "a", answers("a"))
    assert refused.value.hint == f"passerelle new {Path.home() / 'a'}"
    assert [path for path in tmp_path.rglob("*") if path != tmp_path / "a"] == []


def test_every_python_file_of_a_project_is_python_and_names_nothing_of_the_checkout() -> None:
    for name, content in render(replace(answers("a"), language="en")).items():
        if name.endswith(".py"):
            ast.parse(content)
        assert str(ROOT).encode() not in content
