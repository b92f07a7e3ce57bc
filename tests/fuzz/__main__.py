"""Fuzz one target: `python -m tests.fuzz body -max_total_time=600`; the options are libFuzzer's.

What a run finds is kept in `.cache/fuzz`, or in a folder that is named after the target; an input that breaks something is written there
and printed, and belongs in the target's corpus once it is mended.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
FOUND = HERE.parents[1] / ".cache" / "fuzz"
LONGEST_BYTES = 16_384
#: Has no types.
atheris: Any = importlib.import_module("atheris")


def main(target: str, *options: str) -> None:
    """Run until an option ends it, or until something is broken."""
    with atheris.instrument_imports(include=["passerelle.serving"]):
        module = importlib.import_module(f"tests.fuzz.{target}")
    folders = [Path(option) for option in options if not option.startswith("-")]
    found = folders[0] if folders else FOUND / target
    found.mkdir(parents=True, exist_ok=True)
    corpus = [str(found), str(HERE / "corpus" / target)]
    given = [f"-max_len={LONGEST_BYTES}", "-len_control=0", f"-artifact_prefix={found}/", "-print_final_stats=1"]
    given += [option for option in options if option.startswith("-")]
    atheris.Setup([sys.argv[0], *given, *corpus], module.one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
