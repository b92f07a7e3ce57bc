"""Draw the report on the simulated month: `python -m tests.drift.report_picture` writes docs/drift-report.png."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from PIL import Image

from passerelle.criteria import Criteria
from passerelle.monitoring.drift.drift_page import html
from passerelle.monitoring.drift.signals import HISTORY, drift_result
from passerelle.monitoring.drift.training_rows import TrainingRows
from passerelle.monitoring.prediction_log.log_place import LogFolder
from passerelle.stages.drift_days import LogReading, day_counts
from tests.drift.simulated_month import LAST_DAY, MODEL, TOPICS, VERSION, write_month

PICTURE = Path(__file__).resolve().parents[2] / "docs" / "drift-report.png"
_ROWS = 520
#: Of a made-up training, like the quiet days.
TRAINING = TrainingRows(
    version=int(VERSION),
    rows=_ROWS,
    labels={label: round(share * _ROWS) for label, (share, _) in TOPICS.items()},
    figures={"confidence": (0.757, 0.024), "accuracy": (0.84, 0.134), "length": (2.62, 0.02)},
    calibration_error=0.041,
)


def month_page() -> str:
    """Return the French page on the simulated month."""
    with tempfile.TemporaryDirectory(prefix="passerelle-drift-") as folder:
        write_month(Path(folder))
        days = day_counts(LogReading(LogFolder(Path(folder)), MODEL, Criteria().drift.sample_size), LAST_DAY, HISTORY)
    return html(drift_result(MODEL, days, TRAINING, Criteria()), language="fr")


def draw(page: str, picture: Path) -> None:
    """Write the picture of a page, by Chromium."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("chromium-browser")
    with tempfile.TemporaryDirectory(prefix="passerelle-drift-") as folder, sync_playwright() as playwright:
        (Path(folder) / "page.html").write_text(page, encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=program, args=["--headless", "--no-sandbox", "--disable-gpu"])
        shown = browser.new_page(viewport={"width": 1000, "height": 900})
        shown.goto((Path(folder) / "page.html").as_uri())
        shown.screenshot(path=picture, full_page=True)
        browser.close()
    # Flat colours: 64 of them look the same, in a third of the bytes.
    Image.open(picture).convert("RGB").quantize(64).save(picture, optimize=True)


if __name__ == "__main__":
    draw(month_page(), PICTURE)
