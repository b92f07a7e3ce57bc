"""Whole tables by a registered version: on disks and in S3, in several processes, and after a kill."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest

import passerelle
from passerelle.batch import line_ranges
from passerelle.batch.job import SUMMARY_FILE
from passerelle.cli.main import run as run_command
from passerelle.errors import DataError, NotFoundError, OutsideError, RefusedError, UsageError
from passerelle.registry.objects import Objects
from passerelle.registry.table_bucket import TableBucket
from passerelle.stages import score, score_versions
from passerelle.stages.context import Context, context_of
from passerelle.stages.promote import PromotionRequest, promote
from passerelle.stages.score_inputs import table_files
from passerelle.stages.score_options import ScoreOptions
from tests.platform_fixtures import COMMENTS, HERE, RegisteredForTests, moved
from tests.unit.batch.tables import contents, job_of, recipe_of, table, write_csv, write_json_lines, write_parquet

pytestmark = pytest.mark.integration
#: Scores in two processes; where the file `stop` lies, they stand still after three splits.
LEAD = """
import pickle
import sys
import threading
from pathlib import Path
import passerelle
from passerelle.batch import line_ranges
from passerelle.batch.job import score_table
from passerelle.batch.table_file import LocalFolder
complete = LocalFolder.write
def write(folder, name, content):
    if name.startswith("scored/") and (folder.path.parent / "stop").exists() and len(list(folder.path.glob("scored/*.parquet"))) > 2:
        threading.Event().wait()
    complete(folder, name, content)
LocalFolder.write = write
if __name__ == "__main__":
    root = Path(sys.argv[1])
    job, recipe = pickle.loads((root / "job").read_bytes())
    score_table(job, recipe, LocalFolder(root / sys.argv[2]), processes=2, dry_run=False, progress=print)
"""


@pytest.fixture
def context(registered: RegisteredForTests, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Context:
    """The context of a registered model with one version, which a rollback would not find: it is not in production."""
    registry = registered.named(monkeypatch, tmp_path)
    registered.register(registry)
    return context_of(dict(os.environ))


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return [row for path in sorted(folder.glob("scored/*.parquet")) for row in pq.read_table(path).to_pylist()]


def test_a_registered_version_scores_tables_of_several_formats(
    context: Context, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "tables" / "2026"
    folder.mkdir(parents=True)
    write_csv(folder / "a.csv", table(40))
    write_parquet(folder / "b.parquet", table(250))
    write_json_lines(tmp_path / "tables" / "c.jsonl", [*table(10), {"no": "bad", "text": ""}])
    options = ScoreOptions((str(tmp_path / "tables"),), str(tmp_path / "out"), ids=("no",), version=1, processes=2)
    counted = score.run(context, replace(options, dry_run=True))
    assert (counted.rows, counted.files, counted.splits) == (301, 3, 5)
    assert not (tmp_path / "out").exists()
    lines: list[str] = []
    done = score.run(context, options, progress=lines.append)
    assert (done.rows, done.refused_rows, done.model["version"]) == (300, 1, "1")
    assert lines[-1].startswith("301 of 301 rows, ")
    run_command(["score", "--input", str(tmp_path / "tables"), "--output", str(tmp_path / "out"), "--id", "no", "--version", "1", "--json"])
    again = json.loads(capsys.readouterr().out)
    assert (again["changed"], again["rows"]) == (False, 300)
    with pytest.raises(DataError, match="has no column 'nothing'"):
        score.run(context, ScoreOptions((str(folder),), str(tmp_path / "other"), ids=("nothing",), version=1))
    inside = replace(options, inputs=(str(folder),), output=str(folder / "scored.csv"))
    assert [score.run(context, inside).changed for _ in range(2)] == [True, False], "the output within the input is no input"
    assert len(list((folder / "scored.csv").glob("scored/*.csv"))) == 4
    with pytest.raises(NotFoundError):  # none is in production
        score.run(context, ScoreOptions((str(folder),), str(tmp_path / "other")))


def test_tables_lie_in_s3_and_the_result_goes_there(context: Context, tmp_path: Path) -> None:
    place, objects = f"tables-{uuid.uuid4().hex[:8]}", Objects(context.s3)
    for name, path in {
        "in/a.csv": write_csv(tmp_path / "a.csv", table(40)),
        "in/b.parquet": write_parquet(tmp_path / "b.parquet", table(250)),
        "in/readme.txt": write_csv(tmp_path / "readme.txt", table(1)),
        "input/c.csv": write_csv(tmp_path / "c.csv", table(1)),
    }.items():
        assert objects.create(f"{place}/{name}", path.read_bytes())
    here = f"s3://{context.s3.bucket}/{place}"
    done = score.run(context, ScoreOptions((f"{here}/in",), f"{here}/out", ids=("no",), version=1, processes=2))
    assert (done.rows, done.files) == (290, 2)
    bucket = TableBucket(context.s3, f"{place}/out")
    assert SUMMARY_FILE in bucket.names()
    local = score.run(context, ScoreOptions((str(tmp_path / "?.*"),), str(tmp_path / "out"), ids=("no",), version=1))
    assert local.files == 3
    found = {name: (tmp_path / "s3" / name) for name in bucket.names() if name.startswith("scored/")}
    for name, path in found.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bucket.read(name))
    both = [[(row["no"], row["label"], row["probability"]) for row in rows_of(tmp_path / each)] for each in ("s3", "out")]
    assert both[0] == both[1][:290]
    assert [file.name for file in table_files([f"{here}/in*/*.csv"], context.s3)] == [f"{here}/in/a.csv", f"{here}/input/c.csv"]
    with pytest.raises(NotFoundError, match="names no table"):
        score.run(context, ScoreOptions((f"{here}/empty",), str(tmp_path / "empty"), version=1))
    refused = context.s3.model_copy(update={"access_key_id": "nobody"})
    with pytest.raises(OutsideError, match="cannot be read or written: InvalidAccessKeyId"):
        table_files([f"{here}/in"], refused)
    (file, *_) = table_files([f"{here}/in"], context.s3)
    objects.delete(f"{place}/in/a.csv")
    objects.create(f"{place}/in/a.csv", b"no,text\n")
    with pytest.raises(DataError, match="was changed while it was scored"):
        file.open().read()


def test_two_versions_are_compared_and_the_gates_report_quotes_it(context: Context, registered: RegisteredForTests, tmp_path: Path) -> None:
    registry = context.registry
    second = registered.register(registry, 1)
    moved(registry, registry.model_version(second.registered_model, 1).ref)
    registry.set_alias(second, "candidate")
    options = ScoreOptions((str(COMMENTS),), str(tmp_path / "out"), versions="production,candidate")
    counted = score_versions.run(context, replace(options, dry_run=True))
    assert not (tmp_path / "out").exists()
    found = score_versions.run(context, options)
    assert found == counted
    assert (found.former, found.new) == (1, 2)
    assert 0 < found.different < found.rows
    assert sum(pair.rows for pair in found.pairs) == found.different
    assert json.loads((tmp_path / "out" / "version-differences.json").read_text())["different"] == found.different
    pages: list[str] = []
    request = PromotionRequest("test@here", serving=HERE, language="en", on_report=pages.append)
    with suppress(RefusedError):  # whatever the gate says
        promote(registry, ref=second, criteria=registered.criteria, request=request, dry_run=True)
    assert f"{found.different} / {found.rows} " in pages[0]
    with pytest.raises(UsageError, match="are not overwritten"):
        score_versions.run(context, options)
    with pytest.raises(UsageError, match="are the same version, 1"):
        score_versions.run(context, replace(options, output=str(tmp_path / "same"), versions="production,1"))


def test_output_columns_and_files_are_named_wrongly(context: Context, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", table(1))
    with pytest.raises(UsageError, match="the output has a column 'row' of its own"):
        score.run(context, ScoreOptions((str(path),), str(tmp_path / "out"), ids=("row",), version=1))
    (tmp_path / "b.csv.gz").touch()
    with pytest.raises(UsageError, match=r"b\.csv\.gz is compressed"):
        score.run(context, ScoreOptions((str(tmp_path),), str(tmp_path / "out"), version=1))
    with pytest.raises(UsageError, match="is a file; --output names a folder"):
        score.run(context, ScoreOptions((str(path),), str(path), version=1))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a table of many splits and a model, as `LEAD` reads them."""
    monkeypatch.setattr(line_ranges, "RANGE_BYTES", 5_000)
    monkeypatch.setattr("passerelle.batch.table_file.CHUNK_BYTES", 1_000)
    job = job_of(write_csv(tmp_path / "a.csv", table(1_500)))
    assert len(job.tasks()) > 10
    (tmp_path / "job").write_bytes(pickle.dumps((job, replace(recipe_of(tmp_path), redact=None))))
    (tmp_path / "lead.py").write_text(LEAD)
    return tmp_path


def started(root: Path, output: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(passerelle.__file__).parents[1])}
    command = [sys.executable, str(root / "lead.py"), str(root), output]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def stopped(root: Path, output: str) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    """Start to score, and return the process and those that work for it once they stand still with three splits done."""
    (root / "stop").touch()
    process = started(root, output)
    while len(list((root / output).glob("scored/*.parquet"))) <= 2:
        assert process.poll() is None
        time.sleep(0.01)
    children = psutil.Process(process.pid).children()
    return process, [each for each in children if "spawn_main" in " ".join(each.cmdline())]


def test_killed_in_the_middle_and_run_again_it_gives_the_same_output(root: Path) -> None:
    process, workers = stopped(root, "killed")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    _, alive = psutil.wait_procs(workers, 60)
    (root / "stop").unlink()
    assert (len(workers), alive) == (2, []), "no process goes on without the one that leads"
    before = len(list((root / "killed" / "scored").glob("*.parquet")))
    assert not (root / "killed" / SUMMARY_FILE).exists()
    for output in ("killed", "whole"):
        process = started(root, output)
        printed, _ = process.communicate(timeout=300)
        assert process.returncode == 0, printed
    summary = json.loads((root / "killed" / SUMMARY_FILE).read_text())
    assert summary["splits"] > summary["done_before"] == before > 0
    found = {name: content for name, content in contents(root / "killed").items() if not name.endswith(".part")}
    assert found == contents(root / "whole")
    assert [row["row"] for row in rows_of(root / "killed")] == list(range(1, 1_501))


def test_a_process_that_is_killed_for_memory_is_an_error_with_a_way_on(root: Path) -> None:
    process, workers = stopped(root, "out")
    workers[0].kill()
    printed, _ = process.communicate(timeout=300)
    assert process.returncode != 0
    assert "a process that scored was killed, as the kernel does when memory runs out" in printed
