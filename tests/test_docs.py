"""Every command in the README and in docs/ is run, as written, in a fresh copy of the project."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from passerelle.rollout import local
from passerelle.rollout.service_state import running_services
from tests.project_copies import copied_project, fewer_candidates
from tests.warm_command import command_for_shells

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```([\w ]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
PAGES = sorted(path for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "CONTRIBUTING.md"])
ADOPT_PAGE = ROOT / "docs" / "adopt.md"
#: Run after all others: from then on the project has two models, and the commands of the others would ask which.
SECOND_PAGE = ROOT / "docs" / "second-classifier.md"
CANDIDATE_PAGE = ROOT / "docs" / "own-candidate.md"
STAGE_PAGES = sorted((ROOT / "docs").glob("[01][0-9]-*.md"))

#: Pages whose commands are run too, each after the stage that it is about.
OTHER_PAGES = {"09-serve.md": [ROOT / "docs" / "doors.md"]}
RUN_PAGES = [each for page in STAGE_PAGES for each in (page, *OTHER_PAGES.get(page.name, ()))]

# What .ci/run calls by itself, around this test: running it here again would run this test inside itself.
RUN_BY_CI = {"make demo", "make test", "make lint"}


def commands(page: Path, languages: Collection[str] = ("sh", "sh engine")) -> list[str]:
    """Return the commands of the page's blocks in these languages, a line each; comments left out."""
    lines = [line for language, body in BLOCK.findall(page.read_text()) if language in languages for line in body.splitlines()]
    return [line.split("  # ")[0].strip() for line in lines if line.strip() and not line.startswith("#")]


@dataclass
class Terminal:
    """One bash a page, so that `eval` and `cd` of one line hold for the next; `up` is the platform that runs beside it.

    Only the pages' `passerelle` is the one of `front`; by `make` and for the platform it is the one that is installed.
    """

    folder: Path
    environment: dict[str, str]
    up: subprocess.Popen[str]
    front: Path

    def run(self, lines: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", "set -euo pipefail\n" + "\n".join(f"echo '+++ '{shell_quote(line)} >&2\n{line}" for line in lines)],
            cwd=self.folder,
            env=self.environment | {"PATH": f"{self.front}:{self.environment['PATH']}"},
            capture_output=True,
            text=True,
            timeout=800,
            check=False,
        )


def shell_quote(text: str) -> str:
    return "'" + text.replace("'", "'\"'\"'") + "'"


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """A copy of the project as git sees it, with the environment of this one and a platform that runs."""
    folder = tmp_path / "passerelle"
    copied_project(ROOT, folder)
    fewer_candidates(folder)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PASSERELLE_", "MLFLOW_", "AWS_", "BENTOML_"))}
    environment["PATH"] = f"{ROOT / '.venv' / 'bin'}:{environment['PATH']}"
    shown = tmp_path / "up.log"
    log = shown.open("w")
    up = subprocess.Popen(["passerelle", "up", "--platform-only"], cwd=folder, env=environment, stdout=log, stderr=log, text=True)
    try:
        waited_for(re.compile(r"^(Ctrl-C ends it)", re.MULTILINE), shown, up)
        with command_for_shells() as front:
            yield Terminal(folder, environment, up, front)
    finally:
        state = folder / ".passerelle"
        for name in running_services(state):
            local.stop(state, name)
        end(up)
        log.close()


def end(process: subprocess.Popen[str]) -> None:
    """End it as Ctrl-C does."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    process.wait(timeout=60)


@pytest.mark.e2e
@pytest.mark.integration
@pytest.mark.timeout(2_400)
def test_every_command_of_the_docs_runs_in_the_order_of_the_stages(terminal: Terminal) -> None:
    languages = ["sh", "sh engine"] if engine_answers() else ["sh"]
    for page in [*RUN_PAGES, ROOT / "README.md"]:
        lines = [line for line in commands(page, languages) if line not in RUN_BY_CI and line != "make up"]
        done = terminal.run(lines)
        assert done.returncode == 0, f"{page.name}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    two_classifiers(terminal)
    end(terminal.up)
    make_up_answers_until_ctrl_c(terminal)
    imported = [str(ROOT / ".venv" / "bin" / "python"), "-c", "import passerelle; print(passerelle.__file__)"]
    elsewhere = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    found = subprocess.run(imported, cwd=terminal.folder, env=elsewhere, capture_output=True, text=True, check=True, timeout=60).stdout
    assert Path(found.strip()).resolve() == ROOT / "src" / "passerelle" / "__init__.py", "the environment is still the one of this project"


@pytest.mark.e2e
@pytest.mark.integration
@pytest.mark.timeout(1_200)
def test_the_ways_from_a_candidate_of_ones_own_and_from_a_notebook_to_an_answer(terminal: Terminal) -> None:
    with (terminal.folder / "training" / "candidates.py").open("a", encoding="utf-8") as candidates:
        candidates.write("\n\n" + commands_as_written(CANDIDATE_PAGE, "python"))
    done = terminal.run(commands(CANDIDATE_PAGE))
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert re.search(r'"label":"[^"]+",', done.stdout)
    assert "dimensions (TruncatedSVD): this step is not compiled" in done.stdout
    notebook = commands_as_written(ADOPT_PAGE, "python")
    (terminal.folder / "notebook.py").write_text(notebook, encoding="utf-8")
    done = terminal.run(commands(ADOPT_PAGE))
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert "which takes its texts as a list" in done.stdout
    assert "already done: comments version 1 is adopted" in done.stdout
    assert re.search(r'"label":"?1"?,', done.stdout)


def two_classifiers(terminal: Terminal) -> None:
    """The page about a second classifier, beside the service of the first that the other pages left."""
    file = terminal.folder / "passerelle.toml"
    file.write_text(f"{file.read_text()}\n{commands_as_written(SECOND_PAGE, 'toml')}", encoding="utf-8")
    first = json.loads(terminal.run(["passerelle deploy --model classification --json"]).stdout)
    done = terminal.run([*commands(SECOND_PAGE), "passerelle status --json"])
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    models = json.loads(done.stdout.splitlines()[-1])["models"]
    services = {each["holdings"]["registered_model"]: each["holdings"]["service_address"] for each in models}
    assert services["classification"] == first["address"] != services["themes"]
    assert {each["holdings"]["service"] for each in models} == {each["holdings"]["alias"] for each in models}
    assert [each["what"] for model in models for each in model["disagreements"]] == []
    answer = requests.post(f"{services['themes']}/classify", json={"text": "Carte grise"}, timeout=10).json()
    assert (answer["model_version"], "label" in answer) == ("1", True)
    asking = terminal.run(["passerelle monitor"])
    assert "several models are served here: classification, themes" in asking.stderr
    ended = terminal.run([f"passerelle deploy --stop --model {name}" for name in services])
    assert ended.returncode == 0, ended.stderr


def commands_as_written(page: Path, language: str) -> str:
    """Return the page's first block in the language."""
    return next(str(body) for found, body in BLOCK.findall(page.read_text()) if found == language)


def make_up_answers_until_ctrl_c(terminal: Terminal) -> None:
    """The README's `make up`, on what the pages left: prints its addresses, answers, and ends at Ctrl-C."""
    environment = {name: value for name, value in terminal.environment.items() if not name.startswith("MAKE")}
    shown = terminal.folder / "make-up.log"
    with shown.open("w") as log:
        up = subprocess.Popen(
            ["make", "up"], cwd=terminal.folder, env=environment, stdout=log, stderr=log, text=True, start_new_session=True
        )
        try:
            address = waited_for(re.compile(r"^API +(http://[\d.:]+)/docs +\(classification:", re.MULTILINE), shown, up)
            answer = requests.post(f"{address}/classify", json={"text": "Aucune réponse depuis trois mois"}, timeout=10).json()
            assert answer["label"] == "Pb de suivi /Délai"
            waited_for(re.compile(r"^API +(http://[\d.:]+)/docs +\(themes:1-", re.MULTILINE), shown, up)
            assert shown.read_text().count("already done") == 4, "imported and built, twice: it trains, registers and promotes nothing"
        finally:
            os.killpg(up.pid, signal.SIGINT)
            up.wait(timeout=60)
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{address}/livez", timeout=5)


def waited_for(pattern: re.Pattern[str], shown: Path, process: subprocess.Popen[str]) -> str:
    for _ in range(2_800):
        if match := pattern.search(shown.read_text()):
            return match[1]
        assert process.poll() is None, shown.read_text()
        time.sleep(0.1)
    pytest.fail(shown.read_text())


def engine_answers() -> bool:
    """Without an engine the pages' other commands are run; CI has one, so there all of them are."""
    try:
        return subprocess.run(["docker", "info"], capture_output=True, timeout=20, check=False).returncode == 0
    except OSError:
        return False


def test_commands_that_ci_runs_by_itself_stand_in_its_script() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert all(re.search(rf"^(.* )?{re.escape(command)}$", script, re.MULTILINE) for command in RUN_BY_CI)


def test_no_page_but_those_that_are_run_holds_commands() -> None:
    others = set(PAGES) - set(RUN_PAGES) - {ROOT / "README.md", ADOPT_PAGE, SECOND_PAGE, CANDIDATE_PAGE}
    assert [page.name for page in others if commands(page)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_picture_is_drawn_from_its_text() -> None:
    drawn = (ROOT / "docs" / "architecture.svg").read_text()
    source = (ROOT / "docs" / "architecture.dot").read_text()
    nodes = set(re.findall(r"^ *(?:\w+ -> )?(\w+) \[label", source, re.MULTILINE))
    assert nodes
    assert all(f"<title>{node}</title>" in drawn for node in nodes)
