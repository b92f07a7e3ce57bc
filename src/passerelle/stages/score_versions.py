"""Tell where two versions label the rows of a table differently, for people and for the gate's report."""

from __future__ import annotations

import json

from passerelle.batch.processes import ScoringRecipe
from passerelle.batch.scored_split import Scoring
from passerelle.batch.table_file import is_on_disk
from passerelle.batch.table_plans import plans_of
from passerelle.batch.two_versions import version_differences
from passerelle.errors import UsageError, shell_word
from passerelle.gate.table_differences import keep_differences
from passerelle.model.version_differences import VersionDifferences
from passerelle.names import ModelVersionRef
from passerelle.settings import ServiceSettings
from passerelle.stages.context import Context, Progress, silent, stage
from passerelle.stages.import_model import import_model
from passerelle.stages.score_inputs import output_folder, table_files
from passerelle.stages.score_options import ScoreOptions
from passerelle.stages.score_records import record_reader, redacted

DIFFERENCES_FILE = "version-differences.json"


@stage
def run(context: Context, options: ScoreOptions, *, progress: Progress = silent) -> VersionDifferences:
    """Return where two versions differ, after writing it into the output and beside the second one's model.

    Raises:
        UsageError: As `ScoreOptions.check`, or the output holds something.
        NotFoundError: There is no such version or alias, or an input names no table.
        DataError: A table lacks a column or cannot be read.
        IntegrityError: A version is not the one that was registered.
        OutsideError: MLflow or S3 does not answer, or the disk is full.
    """
    options.check()
    output = output_folder(options.output, context.s3)
    if output.names():
        message = f"{output.name} holds files, which are not overwritten: name another folder"
        raise UsageError(message, hint=f"ls {shell_word(output.name)}" if is_on_disk(output) else None)
    former, new = (_version(context, name) for name in options.two_versions)
    if former == new:
        raise UsageError(f"{' and '.join(options.two_versions)} are the same version, {new.version}", hint="passerelle status")
    scorings = (_scoring(context, former), _scoring(context, new))
    columns = dict.fromkeys(column.name for each in scorings for column in each.model.description.columns if column.required)
    plans = plans_of(table_files(options.inputs, context.s3, output=options.output), list(columns), progress=progress)
    found = version_differences(
        plans,
        new.registered_model,
        (former.version, new.version),
        scorings,
        redact=redacted,
        progress=progress,
    )
    if not options.dry_run:
        output.write(DIFFERENCES_FILE, (json.dumps(found.content(), ensure_ascii=False, indent=2) + "\n").encode())
        keep_differences(context.registry, new, found)
    return found


def _version(context: Context, name: str) -> ModelVersionRef:
    registry = context.registry
    model = registry.settings.registered_model
    return registry.model_version(model, int(name)).ref if name.isdecimal() else registry.resolve(model, name)


def _scoring(context: Context, ref: ModelVersionRef) -> Scoring:
    imported = import_model(context.registry, context.store, ref=ref, signing=context.signing)
    assert imported.path is not None  # noqa: S101 - only a dry run of the import has none
    scoring = ScoringRecipe(imported.path, record_reader, ServiceSettings.read(), signing=context.signing).scoring()
    if scoring.model.task != "classification":
        message = f"{ref} does not classify but does {scoring.model.task}, and --versions compares labels: score with each by itself"
        raise UsageError(message, hint=f"passerelle score --version {ref.version} --input INPUT --output OUTPUT")
    return scoring
