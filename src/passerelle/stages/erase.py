"""Erase answers from the prediction log: lines, Parquet, feedback, exports, and former versions of objects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from passerelle.count_of import count_of
from passerelle.errors import NotFoundError
from passerelle.model.ledger_entry import Entry
from passerelle.model.prediction_id import day_of
from passerelle.monitoring.prediction_log.erasures import erasure_folder, erasure_list
from passerelle.monitoring.prediction_log.exports import registered_exports, take_out_of_export
from passerelle.monitoring.prediction_log.log_place import LogStore
from passerelle.monitoring.prediction_log.parquet_files import RowsTakenOut, short_digest, sweep_staging, take_out
from passerelle.monitoring.prediction_log.worker_files import blank_everywhere
from passerelle.registry.erasure_entry import erased_answers, record_erasure
from passerelle.stages.context import Context, Progress, silent, stage
from passerelle.stages.erase_options import ids_to_erase
from passerelle.stages.erasure_limits import copies, versions_from_exports
from passerelle.stages.log_collection import add_content
from passerelle.stages.log_location import LogLocation, log_location
from passerelle.training.feedback_table import describe_without, ids_in, read_description


@dataclass(frozen=True)
class Erasure:
    """What an erasure did, or would do.

    Attributes:
        ids: Number of the answers to erase.
        days: Of these answers: the only ones of the log that were read or written.
        rows: Rows and lines that were removed.
        former: Former versions of objects that were removed.
        unknown: Ids that were found nowhere; they are listed all the same, so that what arrives about them later is left out.
        exports: Files of exports that held one of the answers and were rewritten.
        elsewhere: Where the answers may be besides, and until when.
        changed: Whether anything was removed or listed now.
        entry: The ledger's entry; None for a dry run.
    """

    ids: int
    days: tuple[date, ...]
    rows: int
    former: int
    unknown: tuple[str, ...]
    exports: tuple[Path, ...]
    elsewhere: tuple[str, ...]
    changed: bool
    entry: Entry | None = None
    dry_run: bool = False


@stage
def run(
    context: Context,
    prediction_ids: Sequence[str] = (),
    *,
    file: Path | None = None,
    by: str | None = None,
    reason: str | None = None,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Erasure:
    """Erase answers, and record it in the ledger without their content; an erasure that was interrupted is completed by the next run.

    Args:
        prediction_ids: Of the answers.
        file: With further ids, one a line.
        by: Who asks for it; by default the author of the context.
        reason: Why; written in the ledger.

    Raises:
        UsageError: An id is not one of an answer, or none was given.
        NotFoundError: There is no prediction log.
        BusyError: Another process collects or erases in the folder, or writes to the ledger.
        OutsideError: MLflow or S3 does not answer, or a file cannot be rewritten.
    """
    ids = ids_to_erase(prediction_ids, file)
    location = log_location(context)
    _check_log(location)
    done = _erased(location, ids, dry_run=dry_run, progress=progress)
    done = replace(done, elsewhere=(*done.elsewhere, *versions_from_exports(context.registry)))
    if dry_run:
        return done
    who = f"{by} ({context.author})" if by else context.author
    name = context.mlflow.registered_model
    entry, recorded = record_erasure(context.registry, name, erased_answers(ids), who=who, reason=reason, signing=context.signing)
    return replace(done, entry=entry, changed=done.changed or recorded)


def _erased(location: LogLocation, ids: frozenset[str], *, dry_run: bool, progress: Progress) -> Erasure:
    """Erase the answers from the log, and from the exports that are reached."""
    with location.alone():
        # The list is in the last place before anything is removed, and in the folder after that where there is a bucket: until then,
        # the collector of this folder does what an interruption left.
        listed = _list_ids(location.stores[-1], ids, dry_run=dry_run)
        found = _taken_out_of_log(location, ids, dry_run=dry_run, progress=progress)
        exports, left = _taken_out_of_exports(location, ids, found, dry_run=dry_run)
        if location.folder.is_dir():
            _list_ids(location.near, ids, dry_run=dry_run)
    return Erasure(
        ids=len(ids),
        days=tuple(day for day, _ in _by_day(ids)),
        rows=found.rows,
        former=found.former,
        unknown=tuple(sorted(ids - found.ids)),
        exports=exports,
        elsewhere=(*left, *copies(location)),
        changed=bool(listed or found.rows or found.former),
        dry_run=dry_run,
    )


def _check_log(location: LogLocation) -> None:
    """Check that there is a log to erase from; raises NotFoundError otherwise."""
    if not location.folder.is_dir() and location.bucket is None:
        message = f"there is no prediction log in {location.folder}, and no bucket of one is set; nothing was erased"
        raise NotFoundError(message, hint="export PASSERELLE_PREDICTION_LOG=FOLDER\nexport PASSERELLE_LOG_BUCKET=BUCKET")


def _by_day(ids: Iterable[str]) -> list[tuple[date, frozenset[str]]]:
    days: dict[date, set[str]] = {}
    for each in ids:
        days.setdefault(day_of(each), set()).add(each)
    return [(day, frozenset(of_day)) for day, of_day in sorted(days.items())]


def _list_ids(store: LogStore, ids: frozenset[str], *, dry_run: bool) -> bool:
    """List the ids in a place, from where readers and collectors leave their rows out; return whether one was not listed."""
    added = []
    for day, of_day in _by_day(ids):
        name = f"{erasure_folder(day)}/{short_digest(*sorted(of_day))}.json"
        added.append(name not in store.names(f"{erasure_folder(day)}/") if dry_run else add_content(store, name, erasure_list(of_day)))
    return any(added)


def _taken_out_of_log(location: LogLocation, ids: frozenset[str], *, dry_run: bool, progress: Progress) -> RowsTakenOut:
    sweep_staging()
    found = blank_everywhere(location.folder, ids, dry_run=dry_run)
    for day, of_day in _by_day(ids):
        progress(f"{day}: {count_of(len(of_day), 'answer')}")
        for store in location.stores:
            found.add(take_out(store, day, of_day, dry_run=dry_run))
    return found


def _taken_out_of_exports(
    location: LogLocation, ids: frozenset[str], found: RowsTakenOut, *, dry_run: bool
) -> tuple[tuple[Path, ...], list[str]]:
    """Return the exports that held one of the answers, and a sentence for each that is not on this machine.

    Args:
        found: Is added to.
    """
    rewritten, left = [], []
    for export in {each.path: each for each in registered_exports(location.place)}.values():
        if not export.path.is_file():
            left.append(f"the export {export.path} by {export.by} on {export.created[:10]}, which is not on this machine")
            continue
        described = read_description(export.path)[0]
        rows = take_out_of_export(export.path, ids, dry_run=dry_run)
        found.add(rows)
        if described is not None and rows.rows and not dry_run:
            describe_without(export.path, described, ids_in(export.path))
        if rows.rows:
            rewritten.append(export.path)
    return tuple(rewritten), left
