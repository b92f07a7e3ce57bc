"""What a collection and an erasure did, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from passerelle.cli.output import Output
from passerelle.count_of import count_of

if TYPE_CHECKING:
    from passerelle.stages.erase import Erasure
    from passerelle.stages.log_collection import Collection


def collection(output: Output, result: Collection) -> None:
    """Show what was collected, and what waits."""
    would = "would be " if result.dry_run else ""
    done = (
        (result.closed, "file", f"of workers that ended {would}closed"),
        (result.files, "file", f"of lines {would}turned into Parquet"),
        (result.torn, "last line", "without an end left out"),
        (result.rejected, "line", "without a record left out, and kept in rejected/ with the reason"),
        (result.sent, "file", f"{would}sent to the bucket"),
        (result.joined, "day", f"{would}put into one file"),
        (result.erased, "row", f"of erased answers {would}removed"),
        (result.expired, "day", f"{would}removed after the retention"),
    )
    for count, what, happened in done:
        if count:
            output.line(f"{count_of(count, what)} {happened}")
    if result.rows:
        output.line("rows: " + ", ".join(f"{count:,} {tree}" for tree, count in sorted(result.rows.items())))
    if not result.changed and not result.problem:
        output.line("nothing to do")
    if result.waiting:
        output.line(f"waiting for the bucket: {count_of(result.waiting, 'file')}")
    if result.problem:
        output.line(f"not complete: {result.problem}; the next collection goes on")
    output.result({**vars(result), "changed": result.changed})


def erasure(output: Output, result: Erasure) -> None:
    """Show what was erased, what was not found, and where the answers may be besides."""
    verb = "would be erased" if result.dry_run else "erased"
    days = ", ".join(day.isoformat() for day in result.days)
    if result.changed:
        where = f"{count_of(result.rows, 'row or line', 'rows and lines')}, {count_of(result.former, 'former version')} of objects"
        output.line(f"{count_of(result.ids, 'answer')} of {days} {verb}: {where}")
    elif len(result.unknown) < result.ids:
        output.line(f"already done: {count_of(result.ids - len(result.unknown), 'answer')} of {days}")
    for path in result.exports:
        output.line(f"  {'would be rewritten' if result.dry_run else 'rewritten'}: {path}")
    if result.unknown:
        output.line(f"not found, and left out should they arrive later: {count_of(len(result.unknown), 'answer')}")
        for each in result.unknown:
            output.line(f"  {each}")
    if result.entry is not None:
        output.line(f"recorded as entry {result.entry.number} of the ledger, without content")
    output.line("they may still be in:")
    for place in result.elsewhere:
        output.line(f"  {place}")
    output.result(result)
