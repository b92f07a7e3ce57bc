"""The command line in a new process that has the libraries in memory: each command imports our own code, and pays for theirs no more.

Several hundred commands are run by the tests, and the imports of MLflow, pandas and scikit-learn are most of what one costs.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

#: What the commands import of others. BentoML is not among them: it reads the environment when it is imported.
LIBRARIES = (
    "boto3", "click", "matplotlib.figure", "mlflow.artifacts", "mlflow.sklearn", "pandas", "pyarrow.parquet", "requests", "rich.console",
    "scipy.stats", "skops.io", "sklearn.ensemble", "sklearn.linear_model", "sklearn.model_selection", "sklearn.svm", "statsmodels.api",
)  # fmt: skip


def run_command(
    arguments: Sequence[str], *, environment: Mapping[str, str], cwd: Path, timeout_s: float = 280.0
) -> subprocess.CompletedProcess[str]:
    """Run `passerelle` with these arguments, in this environment and folder alone.

    Raises:
        subprocess.TimeoutExpired: It did not end in time, and was killed.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(LIBRARIES))
    with TemporaryDirectory() as temporary:
        output = Path(temporary)
        process = context.Process(target=_command, args=(list(arguments), dict(environment), cwd, output))
        process.start()
        process.join(timeout_s)
        command = ["passerelle", *arguments]
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(command, timeout_s, (output / "stdout").read_bytes(), (output / "stderr").read_bytes())
        return subprocess.CompletedProcess(command, process.exitcode, (output / "stdout").read_text(), (output / "stderr").read_text())


def _command(arguments: list[str], environment: dict[str, str], cwd: Path, output: Path) -> None:
    """Become the command: its streams, its environment, its folder, its exit code."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(output / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.argv = ["passerelle", *arguments]
    try:
        runpy.run_module("passerelle", run_name="__main__", alter_sys=True)
    finally:
        # A process of multiprocessing leaves without these.
        atexit._run_exitfuncs()
