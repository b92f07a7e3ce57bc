"""Which registered model a command is about: the one that is named, the only one, or a question with the command for each."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from passerelle.cli.main import passerelle, run
from passerelle.errors import SeveralModelsError, UsageError
from passerelle.stages import build, compare, train
from passerelle.stages.context import Context
from tests.unit.hint_commands import problem_of

TWO = """[settings]
registered_model = "comments"
experiment = "comments"

[models."by theme"]
criteria = "themes.yaml"
"""
#: Each command that is about one registered model of the registry.
COMMANDS = (
    "train", "compare", "register", "promote", "import", "rollback", "history --verify", "trace 1", "reproduce 1", "rollout --status",
    "drift", "erase 1", "score --input a.csv --output b", "adopt runs:/1",
)  # fmt: skip


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two models, in this folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PASSERELLE_REGISTERED_MODEL", raising=False)
    monkeypatch.delenv("PASSERELLE_EXPERIMENT", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    (tmp_path / "passerelle.toml").write_text(TWO)
    (tmp_path / "training").mkdir()
    for name in ("candidates.py", "params.py"):
        (tmp_path / "training" / name).touch()
    return tmp_path


def typed(command: str) -> Any:
    return passerelle.main(shlex.split(command), standalone_mode=False)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_asks_which_of_several_models_and_says_what_to_type(project: Path, command: str) -> None:
    with pytest.raises(SeveralModelsError, match="this project has several registered models: comments, by theme") as question:
        typed(command)
    assert question.value.hint == f"passerelle {command} --model comments\npasserelle {command} --model 'by theme'"
    assert problem_of(str(question.value.hint)) is None


class Calls:
    """Stands in for what stages do, and keeps what they were called with."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.last: tuple[Context, dict[str, Any]] | None = None
        self.hint: str | None = None
        for check in ("check_mlflow", "check_s3_listens"):
            monkeypatch.setattr(f"passerelle.registry.reachable.{check}", lambda _: None)
        monkeypatch.setattr("passerelle.criteria_file.read_criteria", lambda _: None)
        for stage in (train, compare, build):
            monkeypatch.setattr(stage, "run", self)

    def __call__(self, context: Context, *_: Any, **options: Any) -> None:
        self.last = context, options
        raise UsageError("called", hint=self.hint)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    return Calls(monkeypatch)


@pytest.mark.parametrize(
    ("command", "variables", "chosen"),
    [
        ("train --model 'by theme'", {}, ("by theme", "by theme")),
        ("train --model comments", {}, ("comments", "comments")),
        ("train", {"PASSERELLE_REGISTERED_MODEL": "by theme"}, ("by theme", "by theme")),
        ("train --model comments", {"PASSERELLE_REGISTERED_MODEL": "by theme"}, ("comments", "comments")),
        ("train --model 'by theme' --experiment mine", {}, ("by theme", "mine")),
        ("train --model 'by theme'", {"PASSERELLE_EXPERIMENT": "theirs"}, ("by theme", "theirs")),
        ("train", {"PASSERELLE_REGISTERED_MODEL": "demo"}, ("demo", "comments")),
    ],
)
@pytest.mark.usefixtures("project")
def test_the_model_brings_its_experiment(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, command: str, variables: dict[str, str], chosen: tuple[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match="called"):
        typed(command)
    assert calls.last is not None
    assert (calls.last[0].mlflow.registered_model, calls.last[0].mlflow.experiment) == chosen


@pytest.mark.parametrize(("options", "criteria"), [("", "themes.yaml"), (" --criteria other.yaml", "other.yaml")])
def test_the_model_brings_its_criteria(project: Path, calls: Calls, options: str, criteria: str) -> None:
    with pytest.raises(UsageError, match="called"):
        typed(f"compare --model 'by theme'{options}")
    assert calls.last is not None
    assert calls.last[1]["criteria"] == Path(criteria)


def test_a_model_that_passerelle_toml_does_not_name_is_not_trained(project: Path) -> None:
    with pytest.raises(UsageError, match=r"no table \[models.other\].*; it has comments, by theme") as refused:
        typed("train --dry-run --model other")
    assert refused.value.hint == "passerelle train --dry-run --model comments\npasserelle train --dry-run --model 'by theme'"
    with pytest.raises(UsageError, match="no table") as refused:
        typed("train --model=by-teme --again")
    assert refused.value.hint == "passerelle train --again --model 'by theme'"
    (project / "passerelle.toml").unlink()
    with pytest.raises(UsageError, match=r"there is no passerelle\.toml here that says what other learns from") as refused:
        typed("train --model other")
    assert refused.value.hint == "passerelle new my-project"


def test_one_model_needs_no_name(project: Path, calls: Calls) -> None:
    (project / "passerelle.toml").write_text(TWO.partition("[models")[0])
    with pytest.raises(UsageError, match="called"):
        typed("train")
    assert calls.last is not None
    assert calls.last[0].mlflow.registered_model == "comments"


@pytest.mark.parametrize("stored", [("comments", "by theme"), ("comments",), ()])
def test_the_store_decides_for_commands_about_it(project: Path, monkeypatch: pytest.MonkeyPatch, stored: Sequence[str]) -> None:
    monkeypatch.setattr("passerelle.cli.prerequisites._holds", lambda _: True)
    monkeypatch.setattr("passerelle.stages.build.models_in_store", lambda *_: stored)
    with pytest.raises(UsageError) as refused:
        typed("build --dry-run")
    several = "passerelle build --dry-run --model comments\npasserelle build --dry-run --model 'by theme'"
    assert refused.value.hint == (several if len(stored) > 1 else "passerelle import")
    with pytest.raises(UsageError, match="holds no model of themes") as lacking:
        typed("build --model themes")
    assert lacking.value.hint == "passerelle import --model themes"
    with pytest.raises(UsageError, match="the tag themes:1-aaaa1111 is of another model than --model comments"):
        typed("build themes:1-aaaa1111 --model comments")


@pytest.mark.usefixtures("project")
def test_what_to_type_next_is_about_the_model_that_was_named(calls: Calls, capsys: pytest.CaptureFixture[str]) -> None:
    calls.hint = "passerelle register; passerelle promote\npasserelle up"
    for named, about in ((" --model 'by theme'", " --model 'by theme'"), ("", "")):
        (Path("passerelle.toml")).write_text(TWO if named else TWO.partition("[models")[0])
        with pytest.raises(SystemExit):
            run(shlex.split(f"compare{named}"))
        shown = " ".join(capsys.readouterr().err.split())
        assert shown.endswith(f"next: passerelle register{about}; passerelle promote{about} or: passerelle up")


@pytest.mark.usefixtures("project")
def test_nothing_to_stop_is_told_before_what_deploys_is_imported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "passerelle.stages.deploy", None)
    run(["deploy", "--stop"])
    assert "no service runs here" in capsys.readouterr().out
