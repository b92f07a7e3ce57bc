"""The servers that are compared, each started as its documentation shows, with one worker, on loopback."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from loadtests.bench.model import BenchModel
from passerelle.api_keys import make_key
from passerelle.errors import OutsideError
from passerelle.platform.child import Child
from passerelle.platform.ports import free_ports

ROOT = Path(__file__).resolve().parents[2]
OURS = "passerelle"
CEILING = "FastAPI without a model"
PYFUNC = "FastAPI + pyfunc"
_READY_TIMEOUT_S = 120.0
_INSTALL_TIMEOUT_S = 900.0
_MLSERVER = "1.7.1"


@dataclass(frozen=True)
class Server:
    """A server that runs.

    Attributes:
        path: Where it classifies one record.
        body: Makes the body that it takes of a record.
        api_key: What it asks for, if it does.
    """

    name: str
    address: str
    child: Child
    path: str = "/classify"
    body: Callable[[Mapping[str, str]], object] = dict
    api_key: str = ""


def as_table(record: Mapping[str, str]) -> object:
    """Return the body that MLflow's scoring protocol has for one record."""
    return {"dataframe_records": [dict(record)]}


def start(name: str, model: BenchModel, stack: ExitStack, progress: Callable[[str], None]) -> Server | None:
    """Start the server of this name, to be ended with the stack; None where it cannot be had here."""
    address = f"http://127.0.0.1:{free_ports(1)[0]}"
    server = _MAKERS[name](name, address, model, progress)
    if server is None:
        return None
    stack.callback(server.child.stop)
    server.child.start()
    try:
        server.child.wait_until_healthy(_READY_TIMEOUT_S)
    except OutsideError as error:
        if name == OURS:
            raise
        progress(f"left out: {error.message}")
        return None
    return server


def _environment(**more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PASSERELLE_", "MLFLOW_", "OTEL_"))}
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return (
        kept
        | one_thread
        | {"BENTOML_DO_NOT_TRACK": "true", "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
        | more
    )


def _child(name: str, address: str, model: BenchModel, command: list[str], *, health: str, environment: dict[str, str]) -> Child:
    log = model.folder / f"{name.replace(' ', '-').replace('+', 'and')}.log"
    return Child(name, command, environment, log, address + health, cwd=ROOT)


def _port(address: str) -> str:
    return address.rpartition(":")[2]


def ours(name: str, address: str, model: BenchModel, _: Callable[[str], None]) -> Server:
    """Return our service with everything switched on: a key that is required, metrics, ids and the access log."""
    keys = model.folder / "keys.json"
    keys.unlink(missing_ok=True)
    token = make_key(keys, "bench").token
    environment = _environment(BENTOML_HOME=str(model.bentoml_home), PASSERELLE_AUTH="required", PASSERELLE_KEYS_FILE=str(keys))
    command = [sys.executable, "-m", "bentoml", "serve", "service:Classifier", "--host", "127.0.0.1", "--port", _port(address)]
    return Server(name, address, _child(name, address, model, command, health="/readyz", environment=environment), api_key=token)


def _fastapi(module: str) -> Callable[[str, str, BenchModel, Callable[[str], None]], Server]:
    def make(name: str, address: str, model: BenchModel, _: Callable[[str], None]) -> Server:
        command = [sys.executable, "-m", "uvicorn", f"loadtests.peers.{module}:app", "--host", "127.0.0.1", "--port", _port(address)]
        command += ["--no-access-log", "--log-level", "warning"]
        return Server(
            name,
            address,
            _child(name, address, model, command, health="/health", environment=_environment(MODEL_PATH=str(model.mlflow_model))),
        )

    return make


def _mlflow_serve(name: str, address: str, model: BenchModel, _: Callable[[str], None]) -> Server:
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", str(model.mlflow_model), "--env-manager", "local"]
    command += ["--host", "127.0.0.1", "--port", _port(address), "--workers", "1"]
    environment = _environment(PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    return Server(name, address, _child(name, address, model, command, health="/ping", environment=environment), "/invocations", as_table)


def _bentoml_documented(name: str, address: str, model: BenchModel, _: Callable[[str], None]) -> Server:
    command = [sys.executable, "-m", "bentoml", "serve", "loadtests.peers.bentoml_documented:Documented", "--host", "127.0.0.1"]
    command += ["--port", _port(address)]
    environment = _environment(MODEL_PATH=str(model.mlflow_model), BENTOML_HOME=str(model.folder / "documented"))
    return Server(name, address, _child(name, address, model, command, health="/readyz", environment=environment))


def _mlserver(name: str, address: str, model: BenchModel, progress: Callable[[str], None]) -> Server | None:
    home = _mlserver_environment(progress)
    if home is None:
        return None
    folder = model.folder / "mlserver"
    folder.mkdir(exist_ok=True)
    grpc, metrics = free_ports(2)
    settings = {"host": "127.0.0.1", "http_port": int(_port(address)), "grpc_port": grpc, "metrics_port": metrics, "parallel_workers": 0}
    of_model = {"name": "bench", "implementation": "mlserver_mlflow.MLflowRuntime", "parameters": {"uri": str(model.mlflow_model)}}
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(of_model))
    command = [str(home / "bin" / "mlserver"), "start", str(folder)]
    child = _child(name, address, model, command, health="/v2/models/bench/ready", environment=_environment(PYTHONPATH=""))
    return Server(name, address, child, "/invocations", as_table)


def _mlserver_environment(progress: Callable[[str], None]) -> Path | None:
    """Return an environment with MLServer, kept outside of the checkout for the next time; None where it does not install."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "passerelle"
    home = cache / f"mlserver-{_MLSERVER}-{version('scikit-learn')}"
    if (home / "bin" / "mlserver").exists():
        return home
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    same = [f"{name}=={version(name)}" for name in ("mlflow", "scikit-learn", "skops", "numpy", "scipy", "pandas")]
    progress("MLServer is installed into an environment of its own; once, a minute or two")
    for command in (
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(home)],
        [uv, "pip", "install", "--quiet", "--python", str(home), f"mlserver=={_MLSERVER}", f"mlserver-mlflow=={_MLSERVER}", *same],
    ):
        done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT_S, check=False)
        if done.returncode != 0:
            shutil.rmtree(home, ignore_errors=True)
            progress(f"MLServer does not install here: {(done.stderr.strip().splitlines() or ['no reason given'])[-1][:200]}")
            return None
    return home


_MAKERS: dict[str, Callable[[str, str, BenchModel, Callable[[str], None]], Server | None]] = {
    OURS: ours,
    PYFUNC: _fastapi("fastapi_pyfunc"),
    "mlflow models serve": _mlflow_serve,
    "BentoML as documented": _bentoml_documented,
    "MLServer": _mlserver,
    CEILING: _fastapi("fastapi_without_model"),
}
NAMES = tuple(_MAKERS)
