"""The gate's page in a browser: on a phone, and for a screen reader."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from passerelle.gate.report import html
from passerelle.registry.looks import LookTaken
from tests.unit.gate.task_verdicts import task_verdict, unjudged
from tests.unit.gate.test_gate_report import ALONE, BETTER, FEW, WORSE, judged

pytestmark = pytest.mark.integration
UNJUDGED = unjudged("clustering")
ACCEPTED = replace(judged(FEW), look=LookTaken(7, counted=False)).accepting("champion", "marie@bureau: forty more messages")


@pytest.fixture(scope="module")
def browser() -> Any:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("Chromium is missing: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=quiet)
        yield running
        running.close()


@pytest.mark.chromium
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize(
    "of", [BETTER, WORSE, ALONE, FEW, ACCEPTED, UNJUDGED], ids=["better", "worse", "alone", "few", "accepted", "unjudged"]
)
def test_a_phone_and_a_screen_reader_can_read_it(browser: Any, of: Any, width: int, tmp_path: Path) -> None:
    from axe_core_python.sync_playwright import Axe

    verdict = of if of is ACCEPTED else task_verdict(of) if of is UNJUDGED else judged(of)
    (tmp_path / "report.html").write_text(html(verdict, language="fr"), encoding="utf-8")
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto((tmp_path / "report.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    violations = Axe().run(page)["violations"]
    assert [(each["id"], each["nodes"][0]["html"][:120]) for each in violations] == []
    page.close()
