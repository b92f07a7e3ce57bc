"""Pictures of a terminal of 80 columns, one for each command that prints a table: `python -m tests.terminal_pictures FOLDER`."""

from __future__ import annotations

import io
import os
import shutil
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from rich.console import Console
from rich.text import Text

from passerelle.cli.output import Output
from tests.unit.cli.recorded_results import PRINTED

WIDTH = 80


def page(name: str) -> str:
    """Return what the command prints, with its colours, as a page of HTML."""
    written = io.StringIO()
    with redirect_stdout(written), redirect_stderr(written):
        PRINTED[name](Output(as_json=False, width=WIDTH))
    console = Console(record=True, width=WIDTH, file=io.StringIO(), highlight=False)
    console.print(Text(f"$ passerelle {name}", style="bold"))
    console.print(Text.from_ansi(written.getvalue()))
    return console.export_html(inline_styles=True)


def main(folder: Path) -> None:
    """Write the pictures."""
    from playwright.sync_api import sync_playwright

    os.environ["FORCE_COLOR"] = "1"
    os.environ.pop("NO_COLOR", None)
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--headless", "--no-sandbox"])
        view = browser.new_page(viewport={"width": 720, "height": 60})
        for name in PRINTED:
            view.set_content(page(name))
            view.screenshot(path=folder / f"{name.replace(' ', '_').replace('--', '')}.png", full_page=True)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
