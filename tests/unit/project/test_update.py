"""An update shows what a newer passerelle writes otherwise, and never touches what the team wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from passerelle.errors import UsageError
from passerelle.project import check, create, render, update
from passerelle.project.answers import answers

Newer = Callable[..., None]
THEIRS = {"service_DOT_py": b"# theirs\n", "brand_new_DOT_py": b"# theirs\n"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return create.create(tmp_path / "a", answers("a")).folder


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> Newer:
    """Let the package be a newer one, which writes some files otherwise, or not any more."""

    def become(version: str = "0.2.0", *, without: str | None = None, **changed: bytes) -> None:
        def rendered(given: object) -> dict[str, bytes]:
            files = render.render(given)  # type: ignore[arg-type]
            files |= {name.replace("__", "/").replace("_DOT_", "."): content for name, content in changed.items()}
            return {name: content for name, content in files.items() if name != without}

        monkeypatch.setattr(update, "render", rendered)
        for module in (update, check):
            monkeypatch.setattr(module, "__version__", version)

    return become


def actions(found: update.Update) -> dict[str, str]:
    return {change.path: change.action for change in found.changes}


def test_the_same_version_changes_nothing_whatever_the_team_wrote(project: Path) -> None:
    assert update.update(project).changes == ()
    (project / "service.py").write_text("# ours\n")
    (project / "README.md").unlink()
    assert update.update(project, apply=True).changes == ()
    assert (project / "service.py").read_text() == "# ours\n"
    assert not (project / "README.md").exists(), "what the team deleted stays deleted"


def test_what_the_team_left_alone_is_replaced_and_what_it_changed_is_shown(project: Path, newer: Newer) -> None:
    (project / "service.py").write_text("# ours\n")
    (project / "brand_new.py").write_text("# ours too\n")
    newer(bentofile_DOT_yaml=b"service: new\n", other_DOT_py=b"1\n", without="Makefile", **THEIRS)
    shown = update.update(project)
    expected = {"service.py": "keep", "bentofile.yaml": "replace", "brand_new.py": "keep", "other.py": "add", "Makefile": "remove"}
    assert actions(shown) == expected
    assert (shown.written_by, shown.version, shown.applied) == ("0.1.0", "0.2.0", False)
    assert (project / "Makefile").exists(), "without --yes nothing is written"
    assert "-# ours\n+# theirs\n" in next(change.diff for change in shown.changes if change.path == "service.py")
    assert actions(update.update(project, apply=True)) == expected
    assert (project / "service.py").read_text() == "# ours\n"
    assert (project / "brand_new.py").read_text() == "# ours too\n"
    assert (project / "bentofile.yaml").read_bytes() == b"service: new\n"
    assert not (project / "Makefile").exists()
    assert json.loads((project / ".passerelle-project.json").read_text())["passerelle"] == "0.2.0"
    assert update.update(project, apply=True).changes == (), "what was shown once is not shown again"


def test_an_update_that_was_interrupted_is_done_again(project: Path, newer: Newer, monkeypatch: pytest.MonkeyPatch) -> None:
    newer(bentofile_DOT_yaml=b"service: new\n", service_DOT_py=b"# theirs\n")
    replace = update._replace

    def interrupted(path: Path, content: bytes) -> None:
        if path.name == "service.py":
            raise KeyboardInterrupt
        replace(path, content)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(update, "_replace", interrupted)
        update.update(project, apply=True)
    assert actions(update.update(project, apply=True)) == {"service.py": "replace"}
    assert (project / "service.py").read_bytes() == b"# theirs\n"


@pytest.mark.parametrize("name", [*update.REQUIRED, "training/data/comments.csv"])
def test_a_file_without_which_nothing_works_is_named_and_restored(project: Path, name: str) -> None:
    before = (project / name).read_bytes()
    (project / name).unlink()
    with pytest.raises(UsageError, match=f"{name} is missing") as refused:
        check.check_project(project)
    assert refused.value.hint == f"passerelle new {project} --update --yes"
    assert actions(update.update(project, apply=True)) == {name: "add"}
    assert (project / name).read_bytes() == before
    assert check.check_project(project) == ()


def test_an_older_project_is_told_and_a_newer_one_refused(project: Path, newer: Newer) -> None:
    newer("0.10.0")
    (note,) = check.check_project(project)
    assert "passerelle 0.1.0 wrote this project" in note
    assert "passerelle new --update" in note
    update.update(project, apply=True)
    assert check.check_project(project) == ()
    newer("0.9.1")
    for ask in (check.check_project, update.update):
        with pytest.raises(UsageError, match=r"written by passerelle 0\.10\.0, and this is passerelle 0\.9\.1") as refused:
            ask(project)
        assert refused.value.hint == "pip install 'passerelle[workbench]==0.10.0'"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("service.py", "class Classifier(:\n", "service.py is not Python"),
        ("service.py", "class Other:\n    pass\n", "defines no class Classifier"),
        ("bentofile.yaml", "service: [\n", "cannot read"),
        ("bentofile.yaml", "include: [service.py]\n", "cannot read"),
        ("bentofile.yaml", "service: service:Classifier\ninclude: [service.py]\n", "includes no file of passerelle"),
        ("bentofile.yaml", "service: other:Classifier\n", "other.py is missing"),
        ("bentofile.yaml", 'service: service:Classifier\ninclude: ["/service.py", "/nothing.txt"]\n', "holds no nothing.txt"),
        (".passerelle-project.json", "{}", "cannot read"),
        ("training/criteria.yaml", "rankin: {}\n", "rankin"),
    ],
)
def test_an_edit_that_breaks_the_project_is_named_before_any_server_starts(project: Path, name: str, content: str, message: str) -> None:
    (project / name).write_text(content)
    with pytest.raises(UsageError, match=message) as refused:
        check.check_project(project)
    assert refused.value.hint


def test_an_edit_that_fits_is_none_of_ours(project: Path) -> None:
    with (project / "service.py").open("a") as service:
        service.write("\nOURS = 1\n")
    assert check.check_project(project) == ()


def test_a_folder_that_is_no_project_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a project") as refused:
        check.check_project(tmp_path)
    assert refused.value.hint == "passerelle new my-project; cd my-project"
    with pytest.raises(UsageError, match="was not written by passerelle new"):
        update.update(tmp_path)
