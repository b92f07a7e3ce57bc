"""Whole tables on a real Ray cluster: two nodes, as processes of this machine, one of which is lost in the middle."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from passerelle.batch import line_ranges, table_file, table_plan
from passerelle.batch.job import JOB_FILE, SUMMARY_FILE, ScoreJob
from passerelle.batch.scored_split import score_split
from passerelle.batch.table_plan import plan_of
from passerelle.platform.ports import free_ports
from passerelle.platform.state import RunningPlatform
from passerelle.registry.objects import Objects
from passerelle.registry.table_bucket import TableBucket
from passerelle.stages.score_inputs import table_files
from tests.ray_environment import ROOT, is_complete, ray_python
from tests.ray_lead import GATE, GO, SPLIT_BYTES, STOPS, WAITS, WRITTEN_HERE
from tests.ray_nodes import HEAD, NODE, end, ray_node
from tests.unit.batch.tables import MODEL, bento_model, contents, recipe_of, score, scored_rows, table, write_csv, write_parquet

pytestmark = [pytest.mark.integration, pytest.mark.ray]
ROWS = 2_000


@dataclass(frozen=True)
class Cluster:
    """Two nodes with one core each; processes of the second name themselves in `gate` when they stop in the middle of a split."""

    environment: dict[str, str]
    address: str
    node: psutil.Process
    gate: Path

    def lead(self, root: Path, output: str, *, address: str | None = None, **variables: str) -> subprocess.Popen[str]:
        """Start to score the tables in a folder."""
        environment = self.environment | variables
        command = [str(ray_python()), "-m", "tests.ray_lead", str(root), output, address or self.address]
        return subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def stopped(self, lead: subprocess.Popen[str], *but: int) -> int:
        """Return the id of a process that stopped in the middle of a split."""
        while not (found := [int(path.name) for path in self.gate.iterdir() if int(path.name) not in but]):
            assert lead.poll() is None, lead.communicate()[0]
            time.sleep(0.05)
        return found[0]


def cut_as_the_lead(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((line_ranges, "RANGE_BYTES"), (table_plan, "CHUNK_BYTES"), (table_file, "CHUNK_BYTES")):
        monkeypatch.setattr(module, name, SPLIT_BYTES)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if not is_complete(ray_python()):
        pytest.skip("the environment of a Ray node is missing: .venv/bin/python -m tests.ray_environment")
    # Not below pytest's folder: the paths of Ray's sockets may have 107 bytes.
    with ExitStack() as stack:
        short = stack.enter_context(tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True))
        folder, (port, client_port) = tmp_path_factory.mktemp("ray"), free_ports(2)
        gate = folder / "gate"
        gate.mkdir()
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "src"))),
            GATE: str(gate),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_raylet_start_wait_time_s": "120",
        }
        head = ("--head", "--include-dashboard=false", f"--node-ip-address={HEAD}", f"--port={port}", f"--temp-dir={short}")
        stack.enter_context(ray_node(folder / "head.log", environment, *head, f"--ray-client-server-port={client_port}"))
        node = ("--address", f"{HEAD}:{port}", f"--node-ip-address={NODE}")
        second = stack.enter_context(ray_node(folder / "node.log", environment | {STOPS: "yes"}, *node))
        yield Cluster(environment, f"{HEAD}:{port}", second, gate)


def test_candidates_are_fitted_on_the_nodes_to_the_same_predictions(cluster: Cluster) -> None:
    command = [str(ray_python()), "-m", "tests.ray_train", cluster.address]
    done = subprocess.run(command, env=cluster.environment, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    same, failed, refused = done.stdout.splitlines()
    assert same == "the same predictions"
    assert failed.startswith("1 ArithmeticError: it cannot be fitted (")
    assert "has scikit-learn" in refused
    assert "not 0.1" in refused


def test_a_node_and_a_process_are_lost_and_no_row_is(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = [write_csv(tmp_path / "a.csv", table(ROWS)), write_parquet(tmp_path / "b.parquet", table(250))]
    bento_model(tmp_path)
    lead = cluster.lead(tmp_path, "cluster")
    first = cluster.stopped(lead)
    os.kill(first, signal.SIGKILL)  # as the kernel does when memory runs out
    cluster.stopped(lead, first)
    end(cluster.node)
    (cluster.gate / GO).touch()
    printed, _ = lead.communicate(timeout=600)
    assert lead.returncode == 0, printed
    assert printed.count("its node or its process was lost; scored again") >= 2, printed
    cut_as_the_lead(monkeypatch)
    whole = score(tmp_path, *tables, output="whole")
    assert contents(tmp_path / "cluster") == contents(tmp_path / "whole")
    assert whole.rows == ROWS + 250
    assert whole.splits >= 10
    numbers = [(row["input"], row["row"]) for row in scored_rows(tmp_path, "cluster")]
    assert sorted(set(numbers)) == sorted(numbers)
    again = cluster.lead(tmp_path, "cluster")
    assert "changed=False" in again.communicate(timeout=600)[0]


def test_nodes_read_from_s3_and_write_there_with_the_keys_of_the_command(
    cluster: Cluster, platform: RunningPlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, objects = f"ray-{secrets.token_hex(4)}", Objects(platform.s3)
    for path in (write_csv(tmp_path / "a.csv", table(300)), write_parquet(tmp_path / "b.parquet", table(250))):
        assert objects.create(f"{place}/in/{path.name}", path.read_bytes())
    bento_model(tmp_path)
    here = f"s3://{platform.s3.bucket}/{place}"
    printed, _ = cluster.lead(tmp_path, f"{here}/out", **platform.environment).communicate(timeout=600)
    written_here = [line.removeprefix(WRITTEN_HERE) for line in printed.splitlines() if line.startswith(WRITTEN_HERE)]
    assert written_here == [JOB_FILE, SUMMARY_FILE], printed
    cut_as_the_lead(monkeypatch)
    bucket = TableBucket(platform.s3, f"{place}/out")
    plans = tuple(plan_of(file, ["text", "no"]) for file in table_files([f"{here}/in"], platform.s3))
    tasks = ScoreJob(plans, MODEL, {"ids": ["no"]}).tasks()
    assert {name for name in bucket.names() if name.startswith("scored/")} == {task.scored_name for task in tasks}
    scoring = recipe_of(tmp_path).scoring()
    assert [bucket.read(task.scored_name) for task in tasks] == [score_split(task.split, scoring).content for task in tasks]
    assert json.loads(bucket.read(SUMMARY_FILE))["rows"] == 550


@pytest.mark.parametrize("case", ["token", "silent"])
def test_a_cluster_that_does_not_serve_is_told_in_words(cluster: Cluster, tmp_path: Path, case: str) -> None:
    write_csv(tmp_path / "a.csv", table(10))
    write_parquet(tmp_path / "b.parquet", table(10))
    bento_model(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        if case == "token":
            lead = cluster.lead(tmp_path, "out", RAY_AUTH_TOKEN=secrets.token_hex(32))
        else:
            lead = cluster.lead(tmp_path, "out", address=f"127.0.0.1:{silent.getsockname()[1]}", **{WAITS: "5"})
        printed, _ = lead.communicate(timeout=600)
    words = {"token": "names another token than the cluster's", "silent": "does not answer as a Ray cluster within 5 s"}
    assert (lead.returncode, words[case] in printed) == (3, True), printed
    assert "next: ray" in printed
