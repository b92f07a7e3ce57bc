"""Compile to bytecode what a service imports, so that a container without a writable root starts as fast. Runs while an image is built.

Everything of the small packages; of the large ones and of Python's own library what is imported: all of it would be a fifth of the image.
The files carry a hash instead of a time, and are the same each time.
"""

from __future__ import annotations

import compileall
import importlib
import importlib.util
import os
import py_compile
import subprocess
import sys
import sysconfig
from pathlib import Path

LARGE = (
    "aiohttp", "anyio", "cffi", "cryptography", "fsspec", "google", "markdown_it", "narwhals", "numpy", "opentelemetry", "packaging",
    "pandas", "pip_requirements_parser", "pycparser", "pygments", "rich", "scipy", "sklearn", "tornado", "urllib3", "wcwidth", "zmq",
)  # fmt: skip
#: Between them they import what the service does, whatever the model's steps are.
ENTRIES = (
    "bentoml", "bentoml.models", "bentoml_cli.cli", "_bentoml_impl.server.serving", "_bentoml_impl.server.app",
    "_bentoml_impl.worker.service", "_bentoml_impl.loader", "opentelemetry.sdk.trace",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter", "rich.console", "rich.traceback", "uvicorn.protocols.http.httptools_impl",
    "opentelemetry.baggage.propagation", "opentelemetry.instrumentation.asgi", "opentelemetry.trace.propagation.tracecontext",
    "numpy.typing", "http.client", "multiprocessing.resource_tracker", "runpy", "ctypes.util", "encodings.idna", "encodings.utf_16_le",
    "importlib.readers", "prometheus_client.exposition", "anyio.from_thread", "cryptography.x509",
    "cryptography.hazmat.primitives.asymmetric.ec", "tornado.platform.asyncio",
)  # fmt: skip
#: The same, where the pipeline can be loaded.
PIPELINE = "skops"
ENTRIES_OF_A_PIPELINE = (
    "scipy.sparse", "scipy.special", "scipy.stats", "skops.io", "sklearn.calibration", "sklearn.compose",
    "sklearn.ensemble", "sklearn.feature_extraction.text", "sklearn.feature_selection", "sklearn.impute", "sklearn.linear_model",
    "sklearn.naive_bayes", "sklearn.pipeline", "sklearn.preprocessing", "sklearn.svm", "sklearn.tree", "sklearn.decomposition",
)  # fmt: skip
#: Ten megabytes, for the second that a model without a compiled scorer starts later.
LEFT = "pandas"
MODE = py_compile.PycInvalidationMode.UNCHECKED_HASH


def imported(folder: Path) -> list[Path]:
    """Return the Python files that the entries import, as seen by a process that leaves nothing behind."""
    environment = dict(os.environ) | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}
    done = subprocess.run([sys.executable, __file__, "--names"], env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return sorted(Path(line) for line in done.stdout.splitlines() if line.startswith("/"))


def print_imported() -> None:
    """Import the entries, all of which must be there, and print where each module comes from."""
    for entry in (*ENTRIES, *(ENTRIES_OF_A_PIPELINE if importlib.util.find_spec(PIPELINE) else ())):
        importlib.import_module(entry)
    print(*(str(getattr(module, "__file__", None)) for module in list(sys.modules.values())), sep="\n")


def compile_packages(folder: Path, all_of_python: Path, missing: Path) -> None:
    """Compile below the folder.

    The standard library's imported files go into two roots of their own: all, and those that Python came without.
    """
    for place in sorted(folder.iterdir()):
        if place.is_dir() and place.name not in LARGE and place.suffix != ".dist-info":
            compileall.compile_dir(place, quiet=2, invalidation_mode=MODE, maxlevels=20)
    library = Path(sysconfig.get_path("stdlib"))
    for root in (all_of_python, missing):
        # Never empty: Docker's former builder fails on a layer after an empty one.
        (root / library.relative_to("/")).mkdir(parents=True)
    for path in [*imported(folder), *sorted(folder.glob("*.py"))]:
        target = Path(importlib.util.cache_from_source(str(path)))
        if path.suffix == ".py" and path.is_relative_to(folder) and not (target.exists() or path.is_relative_to(folder / LEFT)):
            py_compile.compile(str(path), doraise=True, invalidation_mode=MODE)
        elif path.suffix == ".py" and path.is_relative_to(library):
            for root in (all_of_python,) if target.exists() else (all_of_python, missing):
                py_compile.compile(str(path), cfile=str(root / target.relative_to("/")), doraise=True, invalidation_mode=MODE)


if __name__ == "__main__":
    if sys.argv[1] == "--names":
        print_imported()
    elif sys.argv[1] == "--all":
        compileall.compile_dir(sys.argv[2], quiet=2, invalidation_mode=MODE, maxlevels=20)
    else:
        compile_packages(*map(Path, sys.argv[1:]))
