"""What runs in the environment of a Ray node: the process that leads, and the check of records on the nodes.

Imports nothing of the workbench, which that environment lacks.
"""

# ruff: noqa: T201 - a script that prints

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from passerelle.batch import line_ranges, ray_cluster, table_file, table_plan
from passerelle.batch.job import ScoreJob, score_table
from passerelle.batch.processes import ScoringRecipe
from passerelle.batch.scored_split import ReadRecords
from passerelle.batch.split_rows import RowFault
from passerelle.batch.table_plan import plan_of
from passerelle.cli.output import print_error
from passerelle.errors import OutsideError, PasserelleError
from passerelle.model.loaded import LoadedModel
from passerelle.registry.table_bucket import TableBucket
from passerelle.settings import S3Settings, ServiceSettings
from passerelle.stages.score_inputs import output_folder, table_files
from passerelle.stages.score_options import S3
from passerelle.stages.score_records import record_reader

MODEL = {"registered_model": "test", "version": "7", "run_id": "0" * 32, "artifact_digest": "sha256:0"}
#: Names a folder on both nodes: no process goes on before `GO` lies in it, but for two splits on the node that stops.
GATE = "SCORE_TEST_GATE"
GO = "go"
#: Set on the node whose processes stop in the middle of their second split and name themselves in the folder.
STOPS = "SCORE_TEST_STOPS"
SPLIT_BYTES = 8_192
#: Before the name of each object that the process that leads writes itself.
WRITTEN_HERE = "written here: "
#: Seconds that the process that leads waits for a cluster.
WAITS = "SCORE_TEST_WAITS"
_ROWS_BEFORE = 150
_MOST_LOOKS = 6_000


def gated_reader(model: LoadedModel, settings: ServiceSettings) -> ReadRecords:
    """Return the service's own check of records, which waits on the nodes."""
    read, rows = record_reader(model, settings), iter(range(_ROWS_BEFORE if STOPS in os.environ else 0))
    folder = Path(os.environ[GATE])

    def wait() -> None:
        if STOPS in os.environ:
            (folder / str(os.getpid())).touch()
        for _ in range(_MOST_LOOKS):
            if STOPS not in os.environ and (folder / GO).exists():
                return
            time.sleep(0.1)
        raise OutsideError(f"{folder / GO} did not come")

    passed = False

    def reading(cells: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any] | RowFault]:
        nonlocal passed
        if not passed and len(list(islice(rows, len(cells)))) < len(cells):
            wait()
            passed = True
        return read(cells)

    return reading


def cut_small() -> None:
    """Cut tables into small splits; the pieces in which files are read are the least length of a split."""
    line_ranges.RANGE_BYTES = vars(table_plan)["CHUNK_BYTES"] = vars(table_file)["CHUNK_BYTES"] = SPLIT_BYTES


def tell_what_is_written_here() -> None:
    """Print the names of the objects that this process writes; the nodes have the class as it is."""
    write = TableBucket.write

    def told(self: TableBucket, name: str, content: bytes) -> None:
        print(f"{WRITTEN_HERE}{name}", flush=True)
        write(self, name, content)

    TableBucket.write = told  # type: ignore[method-assign]  # of this process alone


def main() -> None:
    """Score a.csv and b.parquet in a folder, or what lies beside an output in S3, and leave with passerelle's exit codes."""
    cut_small()
    tell_what_is_written_here()
    ray_cluster.CONNECTION_TIMEOUT_S = float(os.environ.get(WAITS) or ray_cluster.CONNECTION_TIMEOUT_S)
    root, place, address = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    in_s3 = place.startswith(S3)
    given = f"{place.rpartition('/')[0]}/in" if in_s3 else str(root / "[ab].*")
    # The environment of a node has no settings: those of S3 travel with the splits.
    s3 = S3Settings.read() if in_s3 else S3Settings.model_construct()
    try:
        job = ScoreJob(tuple(plan_of(file, ["text", "no"]) for file in table_files([given], s3)), MODEL, {"ids": ["no"]})
        recipe = ScoringRecipe(root / "model", record_reader if in_s3 else gated_reader, ServiceSettings.read(), ("no",))
        done = score_table(
            job,
            recipe,
            output_folder(place if in_s3 else str(root / place), s3),
            processes=None,
            address=address,
            dry_run=False,
            progress=lambda line: print(line, flush=True),
        )
        print(done)
    except PasserelleError as error:
        print_error(error, as_json=False)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
