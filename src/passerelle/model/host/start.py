"""Start the process: `python -I -B start.py SETTINGS`, where SETTINGS is JSON; the first message on standard input names the model.

Loads the package of this folder without the packages above it: neither passerelle nor what is installed beside it must come onto the path
of a model that has an environment of its own.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

_PACKAGE = "passerelle.model.host"


def _load() -> None:
    here = Path(__file__).resolve().parent
    for parent in ("passerelle", "passerelle.model"):
        module = ModuleType(parent)
        module.__path__ = []
        sys.modules[parent] = module
    spec = importlib.util.spec_from_file_location(_PACKAGE, here / "__init__.py", submodule_search_locations=[str(here)])
    if spec is None or spec.loader is None:
        raise ImportError(f"{here} cannot be loaded")
    package = importlib.util.module_from_spec(spec)
    sys.modules[_PACKAGE] = package
    spec.loader.exec_module(package)


if __name__ == "__main__":
    _load()
    importlib.import_module(f"{_PACKAGE}.loop").main(json.loads(sys.argv[1]))
