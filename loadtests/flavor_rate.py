"""Adopted models next to `mlflow models serve` and MLServer on the same model: requests a second, and the median time of one client.

    python -m loadtests.flavor_rate                       seven flavors, four rounds of a second each, some four minutes
    python -m loadtests.flavor_rate "lightgbm estimator"  a name in tests/flavor_models.py or tests/text_models.py; half a minute
    python -m loadtests.flavor_rate --rounds 6 --seconds 3

The servers run at once, each with one worker and one thread for arithmetic, read the model with the same libraries, and are asked in turn:
ratios count. MLServer is installed into an environment of its own, once; where it does not install, or for models of texts, which would
take a second PyTorch, its cells are empty. Needs wrk, and the environments of `python -m tests.flavor_environment` and
`python -m tests.text_environment`.
"""

# ruff: noqa: T201 - a script that prints

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bentoml
import requests
from bentoml._internal.models.model import ModelStore

from loadtests.bench.load import Round, run_wrk
from loadtests.bench.servers import ROOT, Server
from loadtests.machine import describe_machine
from passerelle.model.adoption import Task
from passerelle.model.hosted import HostedModel
from passerelle.names import MODEL_FOLDER
from passerelle.platform.child import Child
from passerelle.platform.ports import free_ports
from tests.adopted_models import write_adoption, write_evidence
from tests.flavor_environment import flavor_python, is_complete
from tests.saved_models import saved_models
from tests.service_fixtures import serve
from tests.text_environment import text_python

FLAVORS = ("sklearn pipeline of lightgbm", "lightgbm estimator", "xgboost softprob", "catboost classifier", "onnx classifier")
#: Of tests/text_models.py, with what each is.
TEXTS: Mapping[str, Task] = {"transformers classifier": "classification", "sentence_transformers": "multioutput"}
_TEXTS = ("merci beaucoup", "aucune réponse", "toujours rien .", "très bien , merci")
CONNECTIONS = (1, 32)
GOAL_RATE, GOAL_P50 = 3.0, 0.5
_LOGGED = Path("tests") / "flavor_models.py"
_READY_S = 120.0
_MLSERVER = ("mlserver==1.7.1", "mlserver-mlflow==1.7.1")
_OF_FLAVORS = frozenset(
    {
        "mlflow-skinny",
        "lightgbm",
        "xgboost-cpu",
        "catboost",
        "onnx",
        "onnxruntime",
        "scikit-learn",
        "numpy",
        "pandas",
        "scipy",
        "cloudpickle",
    }
)
OURS, MLFLOW, MLSERVER = "passerelle", "mlflow", "mlserver"


@dataclass(frozen=True)
class PeerRate:
    """Medians over the rounds, of a server beside ours.

    Attributes:
        requests_per_s: At 32 connections.
        p50_ms: The median time of one client.
        rate: How many times as many requests ours answers; the median of the rounds' ratios.
        p50: Our median time as a share of its own.
    """

    requests_per_s: float
    p50_ms: float
    rate: float
    p50: float


def logged(folder: Path, name: str) -> list[dict[str, Any]]:
    """Log the model of this name into the folder, by the interpreter of its environment, and return its records."""
    command = [str(flavor_python()), str(ROOT / _LOGGED), "--save", name, str(folder)]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"})
    records: list[dict[str, Any]] = json.loads((folder / "records.json").read_text(encoding="utf-8"))
    return records


def adopted(store: Path, name: str) -> tuple[Path, list[dict[str, Any]]]:
    """Return the folder of a bento model that was logged and adopted, and its records."""
    (store / "models").mkdir(parents=True)
    with bentoml.models.create("classification:1-00000000", _model_store=ModelStore(store / "models")) as model:
        folder = Path(model.path)
        if name in TEXTS:
            shutil.copytree(saved_models(text_python(), "text_models.py") / name, folder / MODEL_FOLDER)
            records: list[dict[str, Any]] = [{"text": text} for text in _TEXTS]
            adoption = write_adoption(folder, task=TEXTS[name])
        else:
            records = logged(folder, name)
            content = json.loads((folder / "signature.json").read_text(encoding="utf-8"))
            for extra in ("records.json", "signature.json"):
                (folder / extra).unlink()
            adoption = write_adoption(folder, inputs=content["inputs"], outputs=content.get("outputs"))
        hosted = HostedModel(folder, adoption, python=python_of(name))
        try:
            write_evidence(folder, hosted, records[:8])
        finally:
            hosted.close()
    return store / "models" / "classification" / "1-00000000", records


def python_of(name: str) -> Path:
    """Return the interpreter of the model's environment."""
    return text_python() if name in TEXTS else flavor_python()


def body_of(name: str, record: Mapping[str, object]) -> object:
    """Return the body that MLflow's scoring protocol has for a record: texts alone for a model without a signature."""
    return {"inputs": list(record.values())} if name in TEXTS else {"dataframe_records": [dict(record)]}


def peer(model: Path, python: Path, log: Path, stack: ExitStack) -> Server:
    """Start `mlflow models serve` on the model, to be ended with the stack."""
    (port,) = free_ports(1)
    address, bin_folder = f"http://127.0.0.1:{port}", python.parent
    command = [str(bin_folder / "mlflow"), "models", "serve", "--model-uri", str(model), "--env-manager", "local"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    child = Child(MLFLOW, command, _environment(bin_folder), log, f"{address}/ping", cwd=log.parent)
    return _started(Server(MLFLOW, address, child, "/invocations"), stack)


def mlserver(model: Path, folder: Path, stack: ExitStack) -> Server | None:
    """Start MLServer on the model, to be ended with the stack; None where it does not install."""
    home = mlserver_environment()
    if home is None:
        return None
    port, grpc, metrics = free_ports(3)
    settings = {"host": "127.0.0.1", "http_port": port, "grpc_port": grpc, "metrics_port": metrics, "parallel_workers": 0}
    of_model = {"name": "flavor", "implementation": "mlserver_mlflow.MLflowRuntime", "parameters": {"uri": str(model)}}
    folder.mkdir()
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    (folder / "model-settings.json").write_text(json.dumps(of_model), encoding="utf-8")
    address, command = f"http://127.0.0.1:{port}", [str(home / "bin" / "mlserver"), "start", str(folder)]
    child = Child(MLSERVER, command, _environment(home / "bin"), folder / "log", f"{address}/v2/models/flavor/ready", cwd=folder)
    return _started(Server(MLSERVER, address, child, "/invocations"), stack)


def mlserver_environment() -> Path | None:
    """Return an environment with MLServer and the libraries of the flavors, kept for the next time; None where it does not install."""
    lines = (ROOT / "tests" / "data" / "flavors.txt").read_text(encoding="utf-8").split()
    same = [line.replace("mlflow-skinny", "mlflow") for line in lines if line.partition("==")[0] in _OF_FLAVORS]
    home = flavor_python().parents[2] / f"mlserver-of-{flavor_python().parents[1].name}"
    if not (home / ".complete").exists():
        uv = [sys.executable, "-m", "uv"]
        install = [*uv, "pip", "install", "--quiet", "--python", str(home), *_MLSERVER, *same]
        for command in ([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(home)], install):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                sys.stderr.write(f"MLServer does not install here: {done.stderr.strip()[-300:]}\n")
                return None
        (home / ".complete").touch()
    return home


def _environment(bin_folder: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PASSERELLE_", "MLFLOW_", "PYTHON"))}
    return kept | {"PATH": f"{bin_folder}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}


def _started(server: Server, stack: ExitStack) -> Server:
    stack.callback(server.child.stop)
    server.child.start()
    server.child.wait_until_healthy(_READY_S)
    return server


def bodies(path: Path, contents: Sequence[object]) -> Path:
    """Write bodies that wrk sends in turn, one a line."""
    path.write_text("".join(json.dumps(each) + "\n" for each in contents), encoding="utf-8")
    return path


def measured(name: str, *, rounds: int, seconds: float) -> tuple[float, float, dict[str, PeerRate]]:
    """Return our requests a second at 32 connections, the median of one client in ms, and each other server beside them."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="flavor-rate-")))
        model, records = adopted(folder / "bentoml", name)
        servers = [peer(model / MODEL_FOLDER, python_of(name), folder / "mlflow.log", stack)]
        servers += [] if name in TEXTS else [each for each in [mlserver(model / MODEL_FOLDER, folder / "mlserver", stack)] if each]
        settings = {"adopted_pickles": "any", "model_python": str(python_of(name))}
        running = stack.enter_context(serve(folder / "bentoml", **settings))
        path = "/classify" if TEXTS.get(name, "classification") == "classification" else "/predict"
        ours = Server(OURS, running.address, running.child, path)
        theirs = bodies(folder / "theirs.txt", [body_of(name, record) for record in records])
        sent = {OURS: bodies(folder / "ours.txt", records), **{server.name: theirs for server in servers}}
        for server in servers:
            _check(name, ours, server, records[0])
        found: dict[tuple[str, int], list[Round]] = {}
        for number in range(rounds):
            for connections in CONNECTIONS:
                for server in [ours, *servers] if number % 2 else [*servers, ours]:
                    taken = run_wrk(server, sent[server.name], connections=connections, seconds=seconds)
                    found.setdefault((server.name, connections), []).append(taken)
        assert not any(each.errors for taken in found.values() for each in taken), f"{name}: requests failed"  # noqa: S101 - a fault here
        found = {key: [taken[place] for place in _answered(found, key[1])] for key, taken in found.items()}
        if not all(found.values()):
            sys.exit(f"{name}: no round in which each server answered: python -m loadtests.flavor_rate --seconds 5")
        middle = statistics.median
        rate, p50 = middle(each.requests_per_s for each in found[OURS, 32]), middle(each.p50_ms for each in found[OURS, 1])
        return rate, p50, {server.name: _beside(found, server.name) for server in servers}


def _answered(found: Mapping[tuple[str, int], Sequence[Round]], connections: int) -> list[int]:
    """Return the places of the rounds in which each server answered: on a busy machine one may not."""
    rounds = [taken for (_, number), taken in found.items() if number == connections]
    return [place for place, each in enumerate(zip(*rounds, strict=True)) if all(taken.p50_ms for taken in each)]


def _check(name: str, ours: Server, theirs: Server, record: Mapping[str, object]) -> None:
    """Check that both give the same label; of a model that is no classifier, that both answer."""
    answer = requests.post(ours.address + ours.path, json=record, timeout=60).json()
    reply = requests.post(theirs.address + theirs.path, json=body_of(name, record), timeout=60)
    reply.raise_for_status()
    if "label" not in answer:
        return
    given = reply.json()["predictions"][0]
    # An ONNX classifier names its outputs, and a pipeline of transformers its label.
    given = given.get("output_label", given.get("label")) if isinstance(given, dict) else given
    likeliest = given.index(max(given)) if isinstance(given, list) and len(given) > 1 else given
    alike = (likeliest, *(likeliest if isinstance(likeliest, list) else ()))
    assert answer["label"] in alike, f"{answer['label']} is not {given}"  # noqa: S101 - a fault here


def _beside(found: Mapping[tuple[str, int], Sequence[Round]], name: str) -> PeerRate:
    middle = statistics.median
    return PeerRate(
        round(middle(each.requests_per_s for each in found[name, 32])),
        round(middle(each.p50_ms for each in found[name, 1]), 2),
        round(middle(one.requests_per_s / other.requests_per_s for one, other in zip(found[OURS, 32], found[name, 32], strict=True)), 1),
        round(middle(one.p50_ms / other.p50_ms for one, other in zip(found[OURS, 1], found[name, 1], strict=True)), 3),
    )


def main() -> None:
    """Measure each flavor and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=[*FLAVORS, *TEXTS])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()
    for python, maker in {python_of(name): "text" if name in TEXTS else "flavor" for name in options.names}.items():
        if not is_complete(python):
            sys.exit(f"an environment is missing: python -m tests.{maker}_environment")
    print(json.dumps(describe_machine("mlflow", "bentoml"), ensure_ascii=False))
    columns = "| model | requests/s, 32 connections | p50, one connection, ms |"
    print(columns + "".join(f" {name} | p50, ms | times | share of p50 |" for name in ("`mlflow models serve`", "MLServer")))
    print("|---|---|---|" + "---|---|---|---|" * 2)
    missed = []
    for name in options.names:
        rate, p50, peers = measured(name, rounds=options.rounds, seconds=options.seconds)
        cells = [name, round(rate), round(p50, 2)]
        for each in (peers.get(MLFLOW), peers.get(MLSERVER)):
            cells += [each.requests_per_s, each.p50_ms, each.rate, each.p50] if each else ["—"] * 4
        print("|", " | ".join(map(str, cells)), "|", flush=True)
        if peers[MLFLOW].rate < GOAL_RATE or peers[MLFLOW].p50 > GOAL_P50:
            missed.append(name)
    goal = f"{GOAL_RATE:g} times the requests of `mlflow models serve`, {GOAL_P50:g} of its p50"
    print(f"\nGoal, {goal}: {'missed by ' if missed else 'met by each'}{', '.join(missed)}.")


if __name__ == "__main__":
    main()
