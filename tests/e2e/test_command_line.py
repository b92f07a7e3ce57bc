"""The command line from end to end, and what it says to mistakes: one message, the next command, the exit code, and no stack trace."""

from __future__ import annotations

import hashlib
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import pandas as pd
import pytest
from sklearn.datasets import load_wine

from passerelle.platform.state import RunningPlatform
from passerelle.registry.objects import Objects
from tests.project_copies import copied_project, fewer_candidates
from tests.warm_command import run_command

pytestmark = [pytest.mark.e2e, pytest.mark.integration]
ROOT = Path(__file__).resolve().parents[2]
Cli = Callable[..., subprocess.CompletedProcess[str]]


def cli_of(platform: RunningPlatform, environment: dict[str, str], folder: Path, project: Path) -> Cli:
    """Return the command line in a project, on the session's platform, with state folder, experiment and registered model of its own."""
    name = f"e2e-{folder.name}"
    own = {"PASSERELLE_STATE_DIR": str(folder / "state"), "BENTOML_HOME": str(folder / "bentoml")}
    own |= {"PASSERELLE_EXPERIMENT": name, "PASSERELLE_REGISTERED_MODEL": name}
    variables = environment | dict(platform.environment) | own

    def run(*arguments: str, environment: dict[str, str] | None = None, timeout: float = 400) -> subprocess.CompletedProcess[str]:
        return run_command(arguments, environment=variables | (environment or {}), cwd=project, timeout_s=timeout)

    return run


@pytest.fixture
def cli(platform: RunningPlatform, given_environment: dict[str, str], tmp_path: Path) -> Cli:
    return cli_of(platform, given_environment, tmp_path, ROOT)


@pytest.fixture
def cli_of_few(platform: RunningPlatform, given_environment: dict[str, str], tmp_path: Path) -> Cli:
    """The command line in a clone of this repository that has one candidate for tables."""
    clone = tmp_path / "clone"
    copied_project(ROOT, clone)
    fewer_candidates(clone)
    git = ["git", "-C", str(clone), "-c", "user.name=test", "-c", "user.email=test@example.org"]
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "Train fewer candidates"]):
        subprocess.run([*git, *command], check=True, capture_output=True, timeout=60)
    return cli_of(platform, given_environment, tmp_path, clone)


def refused(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    assert "Traceback" not in said
    assert "next: " in done.stderr, said
    for word in words:
        assert word in said


def test_a_full_disk_is_said() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "passerelle", "--version"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=30, check=False
        )
    assert done.returncode == 3
    assert done.stderr.startswith("passerelle: the disk is full")
    assert "Traceback" not in done.stderr


def test_each_command_has_help_json_and_dry_run_where_it_changes_something() -> None:
    from passerelle.cli.main import OPERATIONS, STAGES

    reads = {
        "compare",
        "serve",
        "monitor",
        "env",
        "status",
        "history",
        "demo",
        "up",
        "openapi",
        "list",
        "trace",
        "reproduce",
        "backup",
        "export",
        "sample",
        "drift",
        "doctor",
    }
    nested = [each for group in OPERATIONS if isinstance(group, click.Group) for each in group.commands.values()]
    for command in (*STAGES, *(each for each in OPERATIONS if not isinstance(each, click.Group)), *nested):
        options = {option for parameter in command.params for option in parameter.opts}
        assert command.help
        assert "--json" in options or command.name in {"up", "openapi"}
        assert ("--dry-run" in options) == (command.name not in reads), command.name


def test_a_table_of_numbers_goes_the_whole_path(cli_of_few: Cli, platform: RunningPlatform, tmp_path: Path) -> None:
    cli = cli_of_few
    wine = load_wine(as_frame=True)
    columns = ["alcohol", "malic_acid", "color_intensity", "proline"]
    table = wine.frame[columns].assign(cultivar=wine.target.map({0: "barolo", 1: "grignolino", 2: "barbera"}))
    table.iloc[:2].assign(cultivar="other", alcohol=[1.0, 2.0]).pipe(lambda rare: pd.concat([table, rare])).to_parquet(
        tmp_path / "wine.parquet"
    )
    named = [part for column in columns for part in ("--feature-column", column)]
    Objects(platform.s3).create("data/wine.parquet", (tmp_path / "wine.parquet").read_bytes())
    data = ["--data", f"s3://{platform.s3.bucket}/data/wine.parquet", "--label-column", "cultivar", *named]
    refused(cli("train", *data, "--dry-run"), 2, f"next: passerelle train {' '.join(data[:2])} --feature-column", "--min-class-rows 6")
    trained = cli("train", *data, "--min-class-rows", "6")
    assert trained.returncode == 0, trained.stderr
    assert "note: 1 classes with fewer than 6 distinct rows are left out: 2 of 180 rows" in trained.stderr
    assert trained.stdout.endswith("  next: passerelle promote --best\n")
    for stage in ("register", "promote", "import", "build"):
        done = cli(stage, "--json")
        assert done.returncode == 0, done.stderr
        again = cli(stage, "--json")
        result = json.loads(again.stdout)
        assert result.get("created", result.get("changed")) is False, stage
    _traced_and_made_again(cli, ["--data", str(tmp_path / "wine.parquet"), "--label-column", "cultivar", *named])
    elsewhere = {"BENTOML_HOME": str(tmp_path / "empty")}
    deployed = cli("deploy", "--json", environment=elsewhere)
    try:
        assert deployed.returncode == 0, deployed.stderr
        assert "import and build" in deployed.stderr
        address = json.loads(deployed.stdout)["address"]
        asked = subprocess.run(
            shlex.split(json.loads(deployed.stdout)["first_request"]), capture_output=True, text=True, timeout=30, check=True
        )
        assert json.loads(asked.stdout)["label"] in set(table["cultivar"])
        _ask_about_wine(address, table, columns)
        status = json.loads(cli("status", "--json").stdout)
        assert status["disagreements"] == []
        assert status["holdings"]["service"] == status["holdings"]["alias"] == 1
    finally:
        cli("deploy", "--stop")


def _traced_and_made_again(cli: Cli, data: list[str]) -> None:
    traced = json.loads(cli("trace", "1", "--json").stdout)
    assert {"model version", "run", "data digest", "criteria", "ledger entry", "bento"} <= {link["name"] for link in traced["links"]}
    assert "data digest" not in traced["missing"]
    refused(cli("trace", "nothing"), 2, "known as 'nothing'")
    assert "git commit" not in traced["missing"]
    again = json.loads(cli("reproduce", "1", *data, "--json").stdout)
    assert again["same"], again
    assert again["comparison"]["labels_differ"] == 0
    assert len(again["comparison"]["metrics"]) > 8
    refused(cli("reproduce", "1"), 1, "version 1 was trained on")


def _ask_about_wine(address: str, table: object, columns: list[str]) -> None:
    import requests

    assert isinstance(table, pd.DataFrame)
    right = 0
    for _, row in table.sample(20, random_state=0).iterrows():
        answer = requests.post(f"{address}/classify", json={column: float(row[column]) for column in columns}, timeout=10)
        assert answer.status_code == 200, answer.text
        right += answer.json()["label"] == row["cultivar"]
    assert right >= 15
    wrong = requests.post(f"{address}/classify", json={"alcohol": "strong"}, timeout=10)
    assert (wrong.status_code, wrong.json()["field"]) == (422, "alcohol")
    import bentoml

    with bentoml.SyncHTTPClient(address) as client:
        first = {column: float(table.iloc[0][column]) for column in columns}
        assert client.classify(**first)["model_version"] == "1"


BAD_FILES: list[tuple[str, bytes, str]] = [
    ("no such column", b"texte,classe\na,b\n", "text"),
    ("no rows", b"text,label\n", "row"),
    ("one class only", b"text,label\n" + b"".join(b"texte %d,seule\n" % n for n in range(20)), "class"),
    (
        "a class with two rows",
        b"text,label\n" + b"".join(b"texte %d,%s\n" % (n, b"rare" if n < 2 else b"autre") for n in range(40)),
        "rare",
    ),
    ("an empty column", b"text,label\n" + b",a\n" * 12 + b",b\n" * 12, "text"),
    (
        "missing texts",
        b"text,label\n" + b"".join(b"%s,%s\n" % (b"" if n == 3 else b"mot %d" % n, b"ab"[n % 2 : n % 2 + 1]) for n in range(30)),
        "text",
    ),
]


@pytest.mark.parametrize(("name", "content", "word"), BAD_FILES, ids=[name for name, _, _ in BAD_FILES])
def test_bad_data_is_refused_by_one_message(cli: Cli, tmp_path: Path, name: str, content: bytes, word: str) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(content)
    refused(cli("train", "--data", str(path), "--text-column", "text", "--label-column", "label"), 2, word)


def test_a_french_export_is_read_as_it_was_meant(cli: Cli, tmp_path: Path) -> None:
    lines = [f"réponse {hashlib.sha256(bytes([n])).hexdigest()} tardive;{'délai' if n % 2 else 'merci'}" for n in range(40)]
    (tmp_path / "export.csv").write_bytes(("texte;classe\n" + "\n".join(lines)).encode("cp1252"))
    done = cli("train", "--data", str(tmp_path / "export.csv"), "--text-column", "texte", "--label-column", "classe", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "note: " in done.stdout
    assert "40 records in 2 classes" in done.stdout


def test_what_is_not_there_is_said(cli: Cli) -> None:
    refused(cli("train", "--data", "nofile.csv", "--text-column", "a", "--label-column", "b"), 2, "nofile.csv")
    refused(cli("compare", "--criteria", "nofile.yaml"), 2, "nofile.yaml")
    refused(cli("compare"), 2, "passerelle train")
    refused(cli("promote"), 2, "passerelle register")
    refused(cli("import"), 2, "alias")
    refused(cli("build"), 2, "passerelle import")
    refused(cli("deploy"), 2, "passerelle build")
    refused(cli("monitor"), 2, "passerelle deploy")
    refused(cli("rollback"), 2, "previous")


@pytest.mark.timing
def test_servers_that_do_not_answer_are_named_within_seconds(cli: Cli) -> None:
    began = time.monotonic()
    refused(cli("compare", environment={"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}), 3, "MLflow does not answer", "127.0.0.1:9")
    refused(cli("compare", environment={"MLFLOW_S3_ENDPOINT_URL": "http://127.0.0.1:9"}), 3, "S3 does not answer", "127.0.0.1:9")
    refused(cli("compare", environment={"AWS_SECRET_ACCESS_KEY": "wrong"}), 3, "refuses these keys")
    refused(cli("compare", environment={"PASSERELLE_S3_BUCKET": "nobodys"}), 3, "no bucket 'nobodys'")
    assert time.monotonic() - began < 60


def test_unknown_settings_are_refused(cli: Cli) -> None:
    refused(cli("status", environment={"PASSERELLE_TRACKING_URL": "x"}), 2, "PASSERELLE_TRACKING_URI")
    refused(cli("status", environment={"PASSERELLE_ENVIRONMENT": "staging"}), 2, "PASSERELLE_ENVIRONMENT")


def test_an_error_is_one_object_for_programs(cli: Cli) -> None:
    done = cli("import", "--json")
    assert set(json.loads(done.stdout)["error"]) == {"code", "message", "hint"}
