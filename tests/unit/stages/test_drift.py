"""`passerelle drift` on a log of lines: three things that go wrong are named, foreign and damaged records are not counted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from passerelle.cli.main import passerelle
from passerelle.errors import NotFoundError, UsageError
from passerelle.gate.scores import Scores
from passerelle.monitoring.drift.day_counts import Sums
from passerelle.monitoring.figures import Figures
from passerelle.monitoring.prediction_log.log_place import LogFolder
from passerelle.names import ARTIFACT_DIGEST, ModelVersionRef
from passerelle.registry.entities import VersionInfo
from passerelle.stages.drift_days import LogReading, day_counts
from passerelle.stages.drift_options import DriftOptions
from passerelle.stages.drift_training import rows_of_scores, training_rows
from tests.drift.simulated_month import LAST_DAY, MODEL, STRIKE, write_month
from tests.unit.monitoring.prediction_log.log_files import MONDAY, TUESDAY, feedback, prediction, prediction_id, write_lines

if TYPE_CHECKING:
    from passerelle.registry.client import Registry


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    log = tmp_path_factory.mktemp("log")
    write_month(log, volume=200)
    return log


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with criteria, in which no server is named."""
    for name in ("MLFLOW_TRACKING_URI", "PASSERELLE_TRACKING_URI", "PASSERELLE_REGISTERED_MODEL", "PASSERELLE_SERVICE_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PASSERELLE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "criteria.yaml").write_text("drift: {silent_days: 2}\n")
    return tmp_path


def ran(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(passerelle, ["drift", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def test_three_things_that_went_wrong_are_named(month: Path, project: Path) -> None:
    files = {name: project / name for name in ("page.html", "drift.prom")}
    log = ("--log", str(month), "--day", LAST_DAY.isoformat())
    code, text = ran(*log, "--report", str(files["page.html"]), "--textfile", str(files["drift.prom"]))
    assert code == 1
    for words in (f"'{STRIKE}'", "repeated records:", "latency:", "grève", "accuracy on the daily random sample: 8"):
        assert words in text
    page = files["page.html"].read_text()
    assert "Alerte" in page
    assert len(page) < 100_000
    assert f'passerelle_drift_alarm{{registered_model="{MODEL}"}} 1' in files["drift.prom"].read_text()
    [last] = (project / "state" / "monitoring").glob("drift-*.json")
    assert json.loads(last.read_text())["state"] == "alarm"
    assert {path.name for path in project.iterdir()} == {"page.html", "drift.prom", "state", "training"}


def test_a_week_before_all_was_quiet(month: Path, project: Path) -> None:
    code, text = ran("--log", str(month), "--day", "2026-01-23", "--json")
    found = json.loads(text)
    assert (code, found["state"], found["window"]) == (0, "quiet", 7)


def test_a_log_without_answers_is_no_alarm_and_one_that_ended_is(month: Path, project: Path) -> None:
    (project / "empty").mkdir()
    code, text = ran("--log", "empty")
    assert (code, "no answers on this day" in text) == (0, True)
    code, text = ran("--log", str(month), "--day", "2026-02-03")
    assert (code, "no answer for 3 days" in text) == (1, True)


def test_answers_to_another_model_and_torn_lines_are_not_counted(tmp_path: Path) -> None:
    ids = [prediction_id(MONDAY) for _ in range(3)]
    records = [prediction(ids[0], text="Une grève"), prediction(ids[1], label="Propreté"), prediction(ids[2], label="Propreté")]
    other = prediction(prediction_id(MONDAY))._replace(registered_model="mails")
    write_lines(tmp_path, "closed/predictions-1-1-0.jsonl", [*records, other], more=b'{"prediction_id": "to')
    write_lines(tmp_path, "open/feedback-1-1.jsonl", [feedback(ids[1], label="Voirie"), feedback(ids[1], label="Propreté", by="agent-2")])
    monday, tuesday = day_counts(LogReading(LogFolder(tmp_path), "comments", 20), TUESDAY, 2)
    assert (monday.day, monday.answers, monday.labels) == (MONDAY, 3, {"Propreté": 2, "Voirie": 1})
    assert monday.words == {"une": 1, "grève": 1}
    assert monday.sums["accuracy"] == Sums(1, 1, 1)
    assert (tuesday.day, tuesday.answers) == (TUESDAY, 0)


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"day": "31/01/2026"}, "'31/01/2026' is no day", "passerelle drift --day 2026-01-31"),
        ({"day": (datetime.now(UTC).date() + timedelta(days=2)).isoformat()}, "has not come yet", "passerelle drift"),
        ({"log": "nowhere"}, "nowhere is no folder", "passerelle drift"),
        ({"report": Path("nowhere/page.html")}, "the folder of nowhere/page.html does not exist", "mkdir -p nowhere"),
        ({"textfile": Path("nowhere/drift.prom")}, "the folder of nowhere/drift.prom does not exist", "mkdir -p nowhere"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options: dict[str, object], message: str, hint: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        DriftOptions(**options).check()  # type: ignore[arg-type]
    assert (error.value.hint or "").startswith(hint)


def test_the_day_is_yesterday_where_none_is_named() -> None:
    assert DriftOptions().last_day in _around_yesterday()


def _around_yesterday() -> Sequence[date]:
    """Return yesterday, and today in case midnight has just passed."""
    today = datetime.now(UTC).date()
    return (today - timedelta(days=1), today)


def test_a_version_without_held_out_rows_says_that_they_are_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ref = ModelVersionRef("comments", 3, "0a1b2c3d")
    registry = SimpleNamespace(model_version=lambda *_: VersionInfo(ref, {ARTIFACT_DIGEST: "sha256:3"}, "Production", "", 0))

    def no_rows(*_: object, **options: object) -> None:
        raise NotFoundError(f"the training of {ref} holds no held-out rows {options}")

    monkeypatch.setattr("passerelle.stages.drift_training.gather", no_rows)
    assert training_rows(cast("Registry", registry), ref, tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_scores_of_held_out_rows_become_what_answers_are_compared_with() -> None:
    truth, given = np.array(["a", "a", "b", "b"]), np.array(["a", "a", "a", "b"])
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.3, 0.7]])
    records = pd.DataFrame({"text": ["un deux", "un", "un deux trois", "un"], "age": [1.0, 2.0, 3.0, 4.0]})
    rows = rows_of_scores(3, Scores(truth, given, probabilities, ("a", "b"), 1.0, 1.0), records)
    assert (rows.version, rows.rows, rows.labels) == (3, 4, {"a": 3, "b": 1})
    assert rows.figures["accuracy"] == (0.75, 0.1875)
    assert rows.figures["confidence"][0] == pytest.approx(0.75)
    assert rows.figures["length"][0] == pytest.approx(np.log1p([2, 1, 3, 1]).mean())
    assert rows.calibration_error is not None


def test_what_the_service_refused_is_shown_where_one_runs_here(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = Figures("http://here", "3", {"200": 90, "422": 6, "503": 4}, None, None, {}, None)
    asked: list[str] = []

    def monitored(_: object, *, registered_model: str) -> Figures:
        asked.append(registered_model)
        return figures

    monkeypatch.setattr("passerelle.stages.monitor.run", monitored)
    (project / "log").mkdir()
    assert json.loads(ran("--log", "log", "--json")[1])["refused"]["value"] == 0.1
    assert len(asked) == 1 and asked[0], "of several models that are served here, the one that the report is about"
