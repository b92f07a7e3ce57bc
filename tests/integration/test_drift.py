"""Drift of a version in a real registry: its held-out rows, its run's metrics, and a log in S3; and the page in Chromium."""

from __future__ import annotations

import os
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from mlflow import MlflowClient
from pyarrow.parquet import write_table

from passerelle.monitoring.drift.drift_page import html
from passerelle.monitoring.drift.drift_result import DriftResult
from passerelle.names import KIND
from passerelle.registry.client import Registry
from passerelle.stages import drift
from passerelle.stages.context import context_of
from passerelle.stages.drift_options import DriftOptions
from tests.drift.simulated_month import LAST_DAY, answers_of
from tests.integration.test_gate_report_page import browser
from tests.platform_fixtures import RegisteredForTests
from tests.unit.monitoring.drift.test_drift_page import ALARM, EMPTY
from tests.unit.monitoring.prediction_log.log_files import write_lines

__all__ = ["browser"]
pytestmark = pytest.mark.integration


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "criteria.yaml").write_text("drift: {}\n")
    return tmp_path


def looked_at(registry: Registry, project: Path, log: str) -> DriftResult:
    """Return what the command finds, by the environment that points at the platform."""
    context = context_of(dict(os.environ) | {"PASSERELLE_STATE_DIR": str(project / "state")})
    context = context.naming(registered_model=registry.settings.registered_model, experiment=registry.settings.experiment)
    return drift.run(context, DriftOptions(day=LAST_DAY.isoformat(), log=log), criteria=project / "criteria.yaml")


def write_log(folder: Path, registry: Registry, version: int) -> None:
    """Write a week of answers of a version to labels of its own."""
    rng = np.random.default_rng(0)
    for day in range(LAST_DAY.day - 7, LAST_DAY.day + 1):
        found = answers_of(rng, date(LAST_DAY.year, LAST_DAY.month, day), 120)
        name = registry.settings.registered_model
        records = [each._replace(registered_model=name, model_version=str(version)) for each in found]
        write_lines(folder, f"closed/predictions-{day}-1-0.jsonl", records)


def test_answers_are_compared_with_the_held_out_rows_and_logged_once_a_day(
    registered: RegisteredForTests, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = registered.fresh()
    ref = registered.register(registry)
    write_log(project / "log", registry, ref.version)
    result = looked_at(registry, project, str(project / "log"))
    assert (result.state, result.training_version) == ("alarm", ref.version), "the month's labels are none of the model's"
    assert result.calibration_error is not None
    assert {each.measure for each in result.signals if each.against == "training" and each.reference is not None} == {
        "labels", "confidence", "length",
    }  # fmt: skip
    # Scored once: the second time without the gate.
    monkeypatch.delattr("passerelle.stages.drift_training.gather")
    assert looked_at(registry, project, str(project / "log")) == result
    client = MlflowClient(tracking_uri=registry.settings.tracking_uri)
    experiment = client.get_run(ref.run_id).info.experiment_id
    query = f"tags.`{KIND}` = 'monitoring' and attributes.run_name = 'monitoring of {ref}'"
    (run,) = client.search_runs([experiment], query)
    (review,) = client.get_metric_history(run.info.run_id, "drift/answers")
    assert (review.step, review.value) == (20260131, result.answers)
    assert registry.latest_training() == registered.parent_run_id


def test_the_log_may_lie_in_s3_and_be_of_an_older_schema(registered: RegisteredForTests, project: Path) -> None:
    registry = registered.fresh()
    name = registry.settings.registered_model
    found = [each._replace(registered_model=name, model_version="99") for each in answers_of(np.random.default_rng(0), LAST_DAY, 120)]
    older = ("prediction_id", "registered_model", "model_version", "label", "probability", "review")
    content = BytesIO()
    write_table(pa.table({column: [getattr(each, column) for each in found] for column in older}), content)
    day = f"dt={LAST_DAY.isoformat()}"
    assert registry.objects.create(f"{name}/predictions/{day}/1.parquet", content.getvalue())
    result = looked_at(registry, project, f"s3://{registry.objects.settings.bucket}/{name}")
    assert (result.state, result.answers, result.training_version) == ("too_few", len(found), None)
    assert {"held_out", "digests", "ngrams", "texts"} <= set(result.unknown)


@pytest.mark.chromium
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("result", [ALARM, EMPTY], ids=["alarm", "empty"])
def test_a_phone_and_a_screen_reader_can_read_the_page(browser: Any, result: DriftResult, width: int, tmp_path: Path) -> None:
    from axe_core_python.sync_playwright import Axe

    (tmp_path / "page.html").write_text(html(result, language="fr"), encoding="utf-8")
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto((tmp_path / "page.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert [(each["id"], each["nodes"][0]["html"][:120]) for each in Axe().run(page)["violations"]] == []
    page.close()
