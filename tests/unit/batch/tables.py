"""Tables, and a model that scores them in this process."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from passerelle.batch.job import ScoredTable, ScoreJob, score_table
from passerelle.batch.processes import ScoringRecipe
from passerelle.batch.table_file import LocalFile, LocalFolder
from passerelle.batch.table_plan import plan_of
from passerelle.model.loaded import LoadedModel, load_model
from passerelle.settings import ServiceSettings
from passerelle.stages.score_records import record_reader, redacted
from tests.unit.serving.models import TEXTS, text_bento_model

SETTINGS = ServiceSettings.model_construct(**{name: field.default for name, field in ServiceSettings.model_fields.items()})
MODEL = {"registered_model": "test", "version": "7", "run_id": "0" * 32, "artifact_digest": "sha256:0"}


@cache
def loaded(folder: Path) -> LoadedModel:
    return load_model(folder)


def bento_model(root: Path) -> Path:
    folder = root / "model"
    return folder if folder.is_dir() else text_bento_model(folder)


def table(rows: int) -> list[dict[str, str]]:
    """Return rows whose texts hold quotes, delimiters and lines."""
    ends = ("", ", rue de Rivoli", ' dit "stop"', "\ndepuis hier", "; merci")
    return [{"no": f"n{place}", "text": f"{TEXTS[place % len(TEXTS)]} {place}{ends[place % len(ends)]}"} for place in range(rows)]


def write_csv(path: Path, rows: Sequence[Mapping[str, str]], *, delimiter: str = ",", encoding: str = "utf-8") -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_json_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def write_parquet(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), path, row_group_size=100)
    return path


def job_of(*paths: Path, ids: Sequence[str] = ("no",), output_format: str = "parquet") -> ScoreJob:
    plans = tuple(plan_of(LocalFile.at(path), ["text", *ids]) for path in paths)
    return ScoreJob(plans, MODEL, {"ids": list(ids)}, output_format)


def recipe_of(root: Path, ids: Sequence[str] = ("no",), output_format: str = "parquet") -> ScoringRecipe:
    return ScoringRecipe(bento_model(root), record_reader, SETTINGS, tuple(ids), redact=redacted, output_format=output_format)


def score(
    root: Path,
    *paths: Path,
    output: str = "out",
    ids: Sequence[str] = ("no",),
    dry_run: bool = False,
    output_format: str = "parquet",
) -> ScoredTable:
    job, recipe = job_of(*paths, ids=ids, output_format=output_format), recipe_of(root, ids, output_format)
    return score_table(job, recipe, LocalFolder(root / output), processes=1, dry_run=dry_run, progress=lambda _: None)


def scored_rows(root: Path, output: str = "out") -> list[dict[str, Any]]:
    return [row for path in sorted((root / output / "scored").glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def refused_rows(root: Path, output: str = "out") -> list[dict[str, Any]]:
    lines = [line for path in sorted((root / output / "refused").glob("*")) for line in path.read_text(encoding="utf-8").splitlines()]
    return [json.loads(line) for line in lines]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.glob("*/*")}
