"""Score whole tables with a registered version, row for row as the service would answer."""

from __future__ import annotations

from pathlib import Path

from passerelle.batch.job import ScoredTable, ScoreJob, score_table
from passerelle.batch.processes import ScoringRecipe
from passerelle.batch.table_plan import TablePlan
from passerelle.batch.table_plans import plans_of
from passerelle.model.mlmodel import describe
from passerelle.monitoring.redaction import RULES_VERSION
from passerelle.names import MODEL_FOLDER
from passerelle.serving.answers import predicted
from passerelle.settings import ServiceSettings
from passerelle.stages import import_model
from passerelle.stages.context import Context, Progress, silent, stage
from passerelle.stages.score_inputs import output_folder, table_files
from passerelle.stages.score_options import ScoreOptions
from passerelle.stages.score_records import record_reader, redacted


@stage
def run(context: Context, options: ScoreOptions, *, progress: Progress = silent) -> ScoredTable:
    """Return what became of the tables: one row in the output for each row of the input, and those that are refused beside it.

    Killed at any moment and run again, it goes on; the output is the same as that of a run that was not interrupted.

    Args:
        progress: Told how far the work is, its rate and the time that is left.

    Raises:
        UsageError: As `ScoreOptions.check`, or the output holds something else.
        NotFoundError: There is no such version, none is in production, or an input names no table.
        DataError: A table lacks a column or cannot be read.
        IntegrityError: The version is not the one that was registered or promoted.
        OutsideError: MLflow or S3 does not answer, the disk is full, a process was killed, or the Ray cluster fails.
    """
    options.check()
    imported = import_model.run(context, options.version, dry_run=options.dry_run)
    settings = ServiceSettings.read()
    output = output_folder(options.output, context.s3)
    plans = _plans(context, options, imported.path, progress)
    ref = imported.ref
    model = {
        "registered_model": ref.registered_model,
        "version": str(ref.version),
        "run_id": ref.run_id,
        "artifact_digest": imported.artifact_digest,
    }
    rules = {
        "redaction": RULES_VERSION,
        "ids": list(options.ids),
        "review_threshold": settings.review_threshold,
        "max_text_characters": settings.max_text_characters,
    }
    kind = options.output_format
    recipe = ScoringRecipe(imported.path or Path(), record_reader, settings, options.ids, context.signing, redacted, kind, predicted)
    job = ScoreJob(plans, model, rules, kind)
    return score_table(
        job, recipe, output, processes=options.processes, address=options.address, dry_run=options.dry_run, progress=progress
    )


def _plans(context: Context, options: ScoreOptions, folder: Path | None, progress: Progress) -> tuple[TablePlan, ...]:
    """Return the files and how they are cut.

    Args:
        folder: Of the bento model; None where nothing is imported, at a dry run.
    """
    columns = describe(folder / MODEL_FOLDER).columns if folder is not None else ()
    if folder is None:
        progress("the version is not in the BentoML store yet: whether the tables have its columns is not checked")
    required = [column.name for column in columns if column.required]
    files = table_files(options.inputs, context.s3, output=options.output)
    plans = plans_of(files, (*required, *options.ids), progress=progress)
    for plan in plans:
        if plan.encoding != "utf-8":
            progress(f"{plan.file.name} is not UTF-8: it is read as Windows-1252")
    return plans
