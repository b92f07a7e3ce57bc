"""The documentation as a site: built strictly from the pages of the repository, and nothing in it is fetched from elsewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FETCHED = re.compile(r"<(?:script|link|img|source|iframe)\b[^>]*\b(?:src|href)=[\"']?(?:https?:)?//", re.IGNORECASE)
#: Markdown that was not taken for what it is: a fence, a list or a table that begins within a paragraph.
NOT_RENDERED = re.compile(r"<p>(?:[^<]*\n)?(?:```|- |\d+\. |\|)")


def built(folder: Path, root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "docs" / "build_site.py"), str(folder), str(root)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    done = built(folder, ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_each_page_is_there_and_fetches_nothing(site: Path) -> None:
    pages = {path: path.read_text() for path in (site / "site").rglob("*.html")}
    assert {"docs/04-promote", "docs/settings", "training/data", "CONTRIBUTING", "loadtests/results", "."} <= {
        path.parent.relative_to(site / "site").as_posix() for path in pages
    }
    assert [path for path, text in pages.items() if FETCHED.search(text)] == []
    assert [path for path, text in pages.items() if NOT_RENDERED.search(text)] == []
    assert "« Pb de suivi /Délai »" in pages[site / "site" / "index.html"]


@pytest.mark.parametrize("link", ["docs/why.md#nowhere", "docs/nowhere.md", "training/nowhere.py"])
def test_a_link_that_leads_nowhere_ends_the_build(site: Path, tmp_path: Path, link: str) -> None:
    project = tmp_path / "project"
    shutil.copytree(site / "pages", project)
    (project / "mkdocs.yml").write_bytes((site / "mkdocs.yml").read_bytes())
    with (project / "SECURITY.md").open("a") as page:
        page.write(f"\n[nowhere]({link})\n")
    done = built(tmp_path / "docs", project)
    assert done.returncode != 0
    assert "SECURITY" in done.stdout + done.stderr
