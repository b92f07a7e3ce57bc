"""What a command needs is checked before anything slow is imported: a mistake or a server that is down is said at once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from passerelle.cli.main import OPERATIONS, STAGES
from tests.e2e.several_commands import answers

SLOW = ("mlflow", "sklearn", "pandas", "bentoml", "boto3", "scipy", "matplotlib", "rich")
NOWHERE = "http://127.0.0.1:9"
#: Where neither a server nor a service runs and nothing was made: each command with its exit code and words of its message.
REFUSED: list[tuple[str, int, str]] = [
    ("status", 3, "no MLflow server is named"),
    ("history", 3, "no MLflow server is named"),
    ("rollback", 3, "no MLflow server is named"),
    ("trace 1", 3, "no MLflow server is named"),
    ("reproduce 1", 3, "no MLflow server is named"),
    ("train --address head", 2, "'head' is no address of a Ray cluster"),
    ("reproduce 1 --data project", 2, "project is a folder, not a file"),
    ("train", 2, "is not a project of passerelle"),
    ("train --project project", 3, "no MLflow server is named"),
    ("train --project project --data nowhere.csv --text-column text --label-column label", 2, "there is no file nowhere.csv"),
    ("train --project project --data project", 2, "project is a folder, not a file"),
    ("train --project project --label-column label", 2, "columns are named and no file is"),
    ("train --project project --address 1", 2, "is no address of a Ray cluster"),
    ("adopt models:/comments/1", 3, "no MLflow server is named"),
    ("adopt comments/1", 2, "'comments/1' is not the address of a model"),
    ("adopt models:/comments/1 --labels nowhere.json", 2, "the file nowhere.json cannot be read"),
    ("convert models:/comments/1", 3, "no MLflow server is named"),
    ("convert comments/1", 2, "'comments/1' is not the address of a model"),
    ("import", 3, "no MLflow server is named"),
    ("promote", 2, "the criteria training/criteria.yaml cannot be read"),
    ("compare", 2, "the criteria training/criteria.yaml cannot be read"),
    ("register", 2, "the criteria training/criteria.yaml cannot be read"),
    ("build", 2, "the BentoML store holds no model"),
    ("openapi", 2, "the BentoML store holds no model"),
    ("containerize", 2, "the BentoML store holds no bento"),
    ("deploy", 2, "the BentoML store holds no bento"),
    ("serve", 2, "the BentoML store holds no bento"),
    ("deploy --init", 2, "--init belongs to --target compose, and the target is local"),
    ("deploy --stop --target compose", 2, "--stop belongs to --target local"),
    ("deploy --render folder", 2, "next: passerelle deploy --target kubernetes --render folder"),
    ("deploy --overlay production", 2, "next: passerelle deploy --target kubernetes --overlay production"),
    ("promote --best --version 1", 2, "--best and --version name two versions"),
    ("promote --force", 2, "a forced promotion needs a reason"),
    ("promote --waive latency", 2, "a check is waived with a reason"),
    ("promote --held-out nowhere.csv --label label", 2, "there is no file nowhere.csv"),
    ("promote --accept criteria", 2, "criteria is accepted with a reason"),
    ("build Model", 2, "is not a bento tag"),
    ("openapi Model", 2, "is not a bento tag"),
    ("containerize Model", 2, "is not a bento tag"),
    ("deploy Model", 2, "is not a bento tag"),
    ("serve Model", 2, "is not a bento tag"),
    ("rollout", 2, "one of --candidate, --status, --promote and --stop says what to do"),
    ("rollout --status", 3, "no MLflow server is named"),
    ("rollout --stop", 3, "no MLflow server is named"),
    ("rollout --candidate 2 --held-out nowhere.csv --label label", 2, "there is no file nowhere.csv"),
    ("rollout --candidate 2", 2, "the criteria training/criteria.yaml cannot be read"),
    ("erase", 2, "no answer is named"),
    ("erase 1", 2, "1 of 1 ids are not ids of answers"),
    ("erase 01939a3c-7c00-7abc-8def-0123456789ab", 3, "no MLflow server is named"),
    ("feedback export", 2, "Missing option '--output'"),
    ("feedback import missing.csv --by me", 2, "there is no file missing.csv"),
    ("drift", 2, "the criteria training/criteria.yaml cannot be read"),
    ("drift --day yesterday", 2, "is no day: YYYY-MM-DD"),
    ("score", 2, "Missing option '--input'"),
    ("score --input project --output scored --id row", 2, "the output has a column 'row' of its own"),
    ("score --input *.csv --output scored", 3, "no MLflow server is named"),
    ("score --input table.csv --output scored", 2, "table.csv does not exist"),
    ("score --input project --output project/training/params.py", 2, "is a file; --output names a folder"),
    ("monitor", 2, "no service runs here"),
    ("monitor --model themes", 2, "no service of themes runs here"),
    (f"monitor --address {NOWHERE}", 3, "nothing listens at"),
    ("demo", 2, "holds no bentofile.yaml"),
    ("up --target compose", 2, "holds no deploy/compose.yaml"),
    ("backup", 2, "holds no deploy/compose.yaml"),
    ("restore file.tar", 2, "holds no deploy/compose.yaml"),
    ("prune", 3, "no MLflow server is named"),
    ("prune --local", 3, "no MLflow server is named"),
    ("prune --target compose", 2, "holds no deploy/compose.yaml"),
    ("bundle file.tar", 2, "holds no deploy/compose.yaml"),
    ("bundle file.tar --install", 2, "there is no file file.tar"),
    ("statsu", 2, "No such command"),
    ("status --jsn", 2, "No such option"),
    ("--version", 0, "passerelle"),
    ("--help", 0, "The ten stages, in order"),
]


def test_the_table_holds_every_command() -> None:
    commands = {str(each.name) for each in (*STAGES, *OPERATIONS)}
    # `env`, `keys` and `new` need neither a server nor what is slow; `collect` and `doctor` work without a server too.
    assert commands - {command.split()[0] for command, _, _ in REFUSED} == {"collect", "doctor", "env", "keys", "new"}


def test_no_command_imports_what_is_slow_before_it_knows_that_it_can_work(given_environment: dict[str, str], tmp_path: Path) -> None:
    for name in ("candidates.py", "params.py"):
        (tmp_path / "project" / "training").mkdir(parents=True, exist_ok=True)
        (tmp_path / "project" / "training" / name).touch()
    commands = (command for command, _, _ in REFUSED)
    found = answers(sys.executable, tmp_path, given_environment, *commands, modules=SLOW)
    for command, code, words in REFUSED:
        assert found[command].code == code, found[command]
        assert words in found[command].out + found[command].err, command
        assert found[command].imported == [], command


class Metrics(BaseHTTPRequestHandler):
    """What a service that has answered nothing yet gives at /metrics."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_monitor_shows_figures_without_bentoml(given_environment: dict[str, str], tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Metrics) as service:
        threading.Thread(target=service.serve_forever, daemon=True).start()
        command = f"monitor --json --address http://127.0.0.1:{service.server_port}"
        found = answers(sys.executable, tmp_path, given_environment, command, modules=SLOW)[command]
        service.shutdown()
    assert (found.code, found.err) == (0, "")
    assert found.imported == []


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"MLFLOW_TRACKING_URI": NOWHERE}, f"MLflow does not answer at {NOWHERE}"),
        ({"MLFLOW_TRACKING_URI": "file:///nowhere", "MLFLOW_S3_ENDPOINT_URL": NOWHERE}, f"S3 does not answer at {NOWHERE}"),
    ],
    ids=["MLflow", "S3"],
)
def test_a_server_that_is_named_and_down_is_known_before_too(
    given_environment: dict[str, str], tmp_path: Path, variables: dict[str, str], words: str
) -> None:
    found = answers(sys.executable, tmp_path, given_environment | variables, "status", modules=SLOW)["status"]
    assert (found.code, found.imported) == (3, [])
    assert words in found.err


@pytest.mark.timing
@pytest.mark.parametrize("command", ["status", "history", "--help", "--version", "status --jsn", "statsu"])
def test_a_first_answer_takes_less_than_half_a_second_of_processor_time(
    command: str, given_environment: dict[str, str], tmp_path: Path
) -> None:
    # The best of a few: what else runs on the machine lengthens processor time as well.
    assert any(processor_time_s(command, given_environment, tmp_path) < 0.5 for _ in range(6))


def processor_time_s(command: str, given: dict[str, str], folder: Path) -> float:
    arguments = [sys.executable, "-m", "passerelle", *command.split()]
    child = subprocess.Popen(arguments, cwd=folder, env=given, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, _, used = os.wait4(child.pid, 0)
    child.returncode = 0
    return used.ru_utime + used.ru_stime
