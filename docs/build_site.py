"""Builds the documentation as a site: python docs/build_site.py [FOLDER [ROOT]].

The pages are those of the repository, at the same places, so that every link between them holds in both, README's too. They are copied
first: a site takes one folder, and the repository's root holds more.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parents[1]
#: The pages and what they link to.
PATTERNS = (
    "*.md", "LICENSE", "docs/*.md", "docs/*.svg", "docs/*.png", "docs/*.css", "training/*.*", "training/data/*.md", "training/tests/*.py",
    "loadtests/results/*.md", "loadtests/results/*.svg",
)  # fmt: skip
#: A link to another file of the site, without its anchor.
LOCAL = re.compile(r"(?<=\s)(?:href|src)=[\"']?(?![a-z]+:|/|#)([^\"' >#?]+)")
_TIMEOUT_S = 300


def build(folder: Path, *, root: Path) -> int:
    """Build the site of the project at `root` in `folder`/site and return the exit code: not 0 where a link or an anchor leads nowhere."""
    pages, site = folder / "pages", folder / "site"
    shutil.rmtree(pages, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(path for pattern in PATTERNS for path in root.glob(pattern)):
        copied = pages / path.relative_to(root)
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copied)
    shutil.copy2(root / "mkdocs.yml", folder)
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "--config-file", str(folder / "mkdocs.yml")]
    code = subprocess.run(command, timeout=_TIMEOUT_S, check=False).returncode
    # Zensical looks at links to pages alone.
    dead = sorted(set(dead_links(site))) if code == 0 else []
    sys.stderr.writelines(f"{line}\n" for line in dead)
    if code == 0 and not dead:
        sys.stdout.write(f"{site / 'index.html'}\n")
    return code or bool(dead)


def dead_links(site: Path) -> Iterator[str]:
    """Yield each link of the site to a file that is not there."""
    for page in site.rglob("*.html"):
        for link in LOCAL.findall(page.read_text(encoding="utf-8")):
            target = page.parent / unquote(link)
            if not (target / "index.html" if target.is_dir() else target).is_file():
                yield f"{page.parent.relative_to(site)}: {link} leads nowhere"


if __name__ == "__main__":
    given = [Path(argument).resolve() for argument in sys.argv[1:]]
    sys.exit(build(given[0] if given else ROOT / ".cache" / "docs", root=given[1] if given[1:] else ROOT))
