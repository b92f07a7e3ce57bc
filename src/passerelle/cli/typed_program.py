"""How a person types the programs of this environment from the folder that they are in, whether it is activated or not."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path


def typed(program: str = "passerelle") -> str:
    """Return the program's name where the shell finds that of this environment, else its path, relative where it is below this folder."""
    here = Path(sys.executable).parent / program
    found = shutil.which(program)
    if (found is not None and Path(found).resolve() == here.resolve()) or not here.is_file():
        return program
    inside = here.is_relative_to(Path.cwd())
    return shlex.quote(str(here.relative_to(Path.cwd()) if inside else here))


def make_or(target: str) -> str:
    """Return the command of make, where this folder has it, else of passerelle."""
    makefile = Path("Makefile")
    there = makefile.is_file() and f"\n{target}:" in makefile.read_text(encoding="utf-8", errors="replace")
    return f"make {target}" if there else f"{typed()} {target}"
