"""What runs in the environment of a Ray node: the process that leads, and the check of records on the nodes.

Imports nothing of the workbench, which that environment lacks.
"""

# ruff: noqa: T201 - a script that prints

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from passerelle.batch import line_ranges
from passerelle.batch.job import ScoreJob, score_table
from passerelle.batch.processes import ScoringRecipe
from passerelle.batch.scored_split import ReadRecord, RowFault
from passerelle.batch.table_file import LocalFile, LocalFolder
from passerelle.batch.table_plan import plan_of
from passerelle.cli.output import print_error
from passerelle.errors import PasserelleError
from passerelle.model.loaded import LoadedModel
from passerelle.settings import ServiceSettings
from passerelle.stages.score_records import record_reader

MODEL = {"registered_model": "test", "version": "7", "run_id": "0" * 32, "artifact_digest": "sha256:0"}
#: On the node where it is set, a process stops in the middle of its second split and names itself in this folder.
STOPS = "SCORE_TEST_STOPS"
RANGE_BYTES = 20_000
_ROWS_BEFORE = 400


def stopping_reader(model: LoadedModel, settings: ServiceSettings) -> ReadRecord:
    """Return the service's own check of records, which does not return after some rows on one of the nodes."""
    read, rows = record_reader(model, settings), iter(range(_ROWS_BEFORE))
    stops = os.environ.get(STOPS)

    def reading(cells: Mapping[str, Any]) -> Mapping[str, Any] | RowFault:
        if stops and next(rows, None) is None:
            (Path(stops) / str(os.getpid())).touch()
            time.sleep(600)
        return read(cells)

    return reading


def main() -> None:
    """Score a.csv and b.parquet in a folder, and leave with passerelle's exit codes."""
    line_ranges.RANGE_BYTES = RANGE_BYTES
    root, output, address = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    job = ScoreJob(tuple(plan_of(LocalFile.at(root / name), ["text", "no"]) for name in ("a.csv", "b.parquet")), MODEL, {"ids": ["no"]})
    recipe = ScoringRecipe(root / "model", stopping_reader, ServiceSettings.read(), ("no",))
    try:
        done = score_table(
            job,
            recipe,
            LocalFolder(root / output),
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
