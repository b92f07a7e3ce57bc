"""What a collection and an erasure did, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from passerelle.cli.output import Output

if TYPE_CHECKING:
    from passerelle.stages.erase import Erasure
    from passerelle.stages.log_collection import Collection


def collection(output: Output, result: Collection) -> None:
    """Show what was collected, and what waits."""
    would = "would be " if result.dry_run else ""
    done = (
        (result.closed, f"files of workers that ended {would}closed"),
        (result.files, f"files of lines {would}turned into Parquet"),
        (result.torn, "last lines without an end left out"),
        (result.rejected, "lines that are no records, which are in rejected/ with the reason"),
        (result.sent, f"files {would}sent to the bucket"),
        (result.joined, f"days {would}put into one file each"),
        (result.erased, f"rows of erased answers {would}removed"),
        (result.expired, f"days {would}removed after their retention"),
    )
    for count, what in done:
        if count:
            output.line(f"{count:,} {what}")
    if result.rows:
        output.line("rows: " + ", ".join(f"{count:,} {tree}" for tree, count in sorted(result.rows.items())))
    if not result.changed and not result.problem:
        output.line("nothing to do")
    if result.waiting:
        output.line(f"{result.waiting:,} files wait for the bucket")
    if result.problem:
        output.line(f"not complete: {result.problem}; the next collection goes on")
    output.result({**vars(result), "changed": result.changed})


def erasure(output: Output, result: Erasure) -> None:
    """Show what was erased, what was not found, and where the answers may be besides."""
    verb = "would be erased" if result.dry_run else "erased"
    days = ", ".join(day.isoformat() for day in result.days)
    if result.changed:
        output.line(
            f"{result.ids:,} answers of {days} {verb}: {result.rows:,} rows and lines, {result.former:,} former versions of objects"
        )
    else:
        output.line(f"already done: {result.ids:,} answers of {days}")
    for path in result.exports:
        output.line(f"  {'would be rewritten' if result.dry_run else 'rewritten'}: {path}")
    if result.unknown:
        output.line(f"{len(result.unknown):,} of them were found nowhere, and are left out should they arrive later:")
        for each in result.unknown:
            output.line(f"  {each}")
    if result.entry is not None:
        output.line(f"recorded as entry {result.entry.number} of the ledger, without content")
    output.line("they may still be in:")
    for place in result.elsewhere:
        output.line(f"  {place}")
    output.result(result)
