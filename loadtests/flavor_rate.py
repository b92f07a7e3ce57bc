"""Adopted models of several flavors next to `mlflow models serve` on the same model: requests a second, and the median of one client.

    python -m loadtests.flavor_rate                       five flavors, six rounds of three seconds each, some five minutes
    python -m loadtests.flavor_rate "lightgbm estimator"  one of the names in tests/flavor_models.py
    python -m loadtests.flavor_rate --rounds 10

Both servers run at once, each with one worker and one thread for arithmetic, read the model with the same libraries, and are asked in turn:
ratios count. Needs wrk, and the environment of `python -m tests.flavor_environment`.
"""

# ruff: noqa: T201 - a script that prints

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import bentoml
import requests
from bentoml._internal.models.model import ModelStore

from loadtests.bench.load import Round, run_wrk
from loadtests.bench.servers import ROOT, Server
from loadtests.machine import describe_machine
from passerelle.model.hosted import HostedModel
from passerelle.names import MODEL_FOLDER
from passerelle.platform.child import Child
from passerelle.platform.ports import free_ports
from tests.adopted_models import write_adoption, write_evidence
from tests.flavor_environment import flavor_python, is_complete
from tests.service_fixtures import serve

FLAVORS = ("sklearn pipeline of lightgbm", "lightgbm estimator", "xgboost softprob", "catboost classifier", "onnx classifier")
CONNECTIONS = (1, 32)
GOAL_RATE, GOAL_P50 = 3.0, 0.5
_LOGGED = Path("tests") / "flavor_models.py"
_READY_S = 120.0


@dataclass(frozen=True)
class FlavorRate:
    """Medians over the rounds.

    Attributes:
        ours: Requests a second at 32 connections.
        mlflow: Likewise, of `mlflow models serve`.
        rate: How many times as many ours are; the median of the rounds' ratios.
        p50: The median time of one client, as a share of that of `mlflow models serve`.
    """

    name: str
    ours: float
    mlflow: float
    ours_p50_ms: float
    mlflow_p50_ms: float
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
        records = logged(folder, name)
        content = json.loads((folder / "signature.json").read_text(encoding="utf-8"))
        for extra in ("records.json", "signature.json"):
            (folder / extra).unlink()
        adoption = write_adoption(folder, inputs=content["inputs"], outputs=content.get("outputs"))
        hosted = HostedModel(folder, adoption, python=flavor_python())
        try:
            write_evidence(folder, hosted, records[:8])
        finally:
            hosted.close()
    return store / "models" / "classification" / "1-00000000", records


def peer(model: Path, log: Path, stack: ExitStack) -> Server:
    """Start `mlflow models serve` on the model, to be ended with the stack."""
    (port,) = free_ports(1)
    address, bin_folder = f"http://127.0.0.1:{port}", flavor_python().parent
    command = [str(bin_folder / "mlflow"), "models", "serve", "--model-uri", str(model), "--env-manager", "local"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PASSERELLE_", "MLFLOW_"))}
    environment = kept | {"PATH": f"{bin_folder}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}
    child = Child("mlflow", command, environment, log, f"{address}/ping", cwd=log.parent)
    stack.callback(child.stop)
    child.start()
    child.wait_until_healthy(_READY_S)
    return Server("mlflow", address, child, "/invocations")


def bodies(path: Path, contents: Sequence[object]) -> Path:
    """Write bodies that wrk sends in turn, one a line."""
    path.write_text("".join(json.dumps(each) + "\n" for each in contents), encoding="utf-8")
    return path


def measured(name: str, *, rounds: int, seconds: float) -> FlavorRate:
    """Return the figures of one flavor."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="flavor-rate-")))
        model, records = adopted(folder / "bentoml", name)
        theirs = peer(model / MODEL_FOLDER, folder / "mlflow.log", stack)
        settings = {"adopted_pickles": "any", "model_python": str(flavor_python())}
        running = stack.enter_context(serve(folder / "bentoml", **settings))
        ours = Server("passerelle", running.address, running.child)
        sent = {
            ours.name: bodies(folder / "ours.txt", records),
            theirs.name: bodies(folder / "theirs.txt", [{"dataframe_records": [record]} for record in records]),
        }
        _check(ours, theirs, records[0])
        found: dict[tuple[str, int], list[Round]] = {}
        for number in range(rounds):
            for connections in CONNECTIONS:
                for server in (ours, theirs) if number % 2 else (theirs, ours):
                    taken = run_wrk(server, sent[server.name], connections=connections, seconds=seconds)
                    found.setdefault((server.name, connections), []).append(taken)
        return _of_rounds(name, found)


def _check(ours: Server, theirs: Server, record: Mapping[str, object]) -> None:
    """Check that both give the same label."""
    label = requests.post(ours.address + ours.path, json=record, timeout=60).json()["label"]
    given = requests.post(theirs.address + theirs.path, json={"dataframe_records": [record]}, timeout=60).json()["predictions"][0]
    # An ONNX classifier names its outputs.
    given = given["output_label"] if isinstance(given, dict) else given
    likeliest = given.index(max(given)) if isinstance(given, list) and len(given) > 1 else given
    assert label in (likeliest, *(likeliest if isinstance(likeliest, list) else ())), f"{label} is not {given}"  # noqa: S101 - a fault here


def _of_rounds(name: str, found: Mapping[tuple[str, int], Sequence[Round]]) -> FlavorRate:
    assert not any(each.errors for rounds in found.values() for each in rounds), f"{name}: requests failed"  # noqa: S101 - as above
    rates = [(one.requests_per_s, other.requests_per_s) for one, other in zip(found["passerelle", 32], found["mlflow", 32], strict=True)]
    medians = [(one.p50_ms, other.p50_ms) for one, other in zip(found["passerelle", 1], found["mlflow", 1], strict=True)]
    middle = statistics.median
    return FlavorRate(
        name,
        ours=round(middle(ours for ours, _ in rates)),
        mlflow=round(middle(theirs for _, theirs in rates)),
        ours_p50_ms=round(middle(ours for ours, _ in medians), 2),
        mlflow_p50_ms=round(middle(theirs for _, theirs in medians), 2),
        rate=round(middle(ours / theirs for ours, theirs in rates), 1),
        p50=round(middle(ours / theirs for ours, theirs in medians), 3),
    )


def main() -> None:
    """Measure each flavor and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(FLAVORS))
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    if not is_complete(flavor_python()):
        sys.exit("the environment of the flavors is missing: python -m tests.flavor_environment")
    print(json.dumps(describe_machine("mlflow", "bentoml"), ensure_ascii=False))
    print("| model | requests/s, 32 connections | `mlflow models serve` | times | p50, one connection | `mlflow models serve` | share |")
    print("|---|---|---|---|---|---|---|")
    for name in options.names:
        rate = asdict(measured(name, rounds=options.rounds, seconds=options.seconds))
        cells = [rate[key] for key in ("name", "ours", "mlflow", "rate", "ours_p50_ms", "mlflow_p50_ms", "p50")]
        print("|", " | ".join(map(str, cells)), "|", flush=True)


if __name__ == "__main__":
    main()
