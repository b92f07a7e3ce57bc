"""The gate's page: both languages, nothing from elsewhere, readable on a phone and by a screen reader."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from passerelle.registry.gate.report import html, markdown
from passerelle.registry.gate.verdict import Verdict
from passerelle.registry.gate.words import WORDS
from tests.unit.registry.verdicts import contender, evidence, scores, verdict

TRUTH = [0] * 30 + [1] * 20 + [2] * 10
BETTER = evidence(contender(2, scores(TRUTH, TRUTH, sure=0.9)), contender(1, scores(TRUTH, [0] * 40 + [1] * 20)))
WORSE = evidence(contender(2, scores(TRUTH, [0] * 40 + [1] * 20)), contender(1, scores(TRUTH, TRUTH)))
ALONE = evidence(contender(2, scores(TRUTH, TRUTH)))
CRITERIA: dict[str, Any] = {"held_out": {"minimum": {"accuracy": 0.5}, "maximum": {"size_bytes": 5e6}}}


def judged(of: Any) -> Verdict:
    return verdict(of, CRITERIA)


def test_both_languages_have_the_same_words() -> None:
    assert WORDS["fr"].keys() == WORDS["en"].keys()


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("of", [BETTER, WORSE, ALONE], ids=["better", "worse", "alone"])
def test_the_page_says_the_verdict_first_and_holds_nothing_from_elsewhere(of: Any, language: Any) -> None:
    found = judged(of)
    page = html(found, language=language)
    assert f'<html lang="{language}">' in page
    assert WORDS[language]["passed" if found.passed else "refused"] in re.search(r"<h1>(.*?)</h1>", page)[1]  # type: ignore[index]
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "<script" not in page
    assert "<b>depuis</b>" not in page
    for finding in found.failures:
        assert finding.check in page


def test_the_markdown_holds_every_check() -> None:
    text = markdown(judged(WORSE), language="en")
    assert text.startswith("# Gate report")
    for finding in judged(WORSE).findings:
        assert f"| {finding.check} |" in text
    assert "**Refused**" in text
    assert "\n\n\n\n" not in text


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
@pytest.mark.parametrize("of", [BETTER, WORSE, ALONE], ids=["better", "worse", "alone"])
def test_a_phone_and_a_screen_reader_can_read_it(browser: Any, of: Any, width: int, tmp_path: Path) -> None:
    from axe_core_python.sync_playwright import Axe

    (tmp_path / "report.html").write_text(html(judged(of), language="fr"), encoding="utf-8")
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto((tmp_path / "report.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    violations = Axe().run(page)["violations"]
    assert [(each["id"], each["nodes"][0]["html"][:120]) for each in violations] == []
    page.close()
