"""What became of a table, for people at a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from passerelle.cli.output import Output

if TYPE_CHECKING:
    from passerelle.batch.job import ScoredTable
    from passerelle.model.version_differences import VersionDifferences


def scored(output: Output, done: ScoredTable) -> None:
    """Show the result."""
    of = f"{done.model['registered_model']} version {done.model['version']}"
    if done.dry_run:
        left = done.splits - done.done_before
        output.line(
            f"{done.rows + done.refused_rows:,} rows in {done.files:,} files; {left:,} of {done.splits:,} parts would be scored by {of}"
        )
    elif not done.changed:
        output.line(f"already scored by {of}: {done.rows:,} rows in {done.output}; nothing changed")
    else:
        earlier = f", {done.done_before:,} of {done.splits:,} parts by an earlier run" if done.done_before else ""
        output.line(f"{done.rows:,} rows scored by {of} in {done.seconds:,.1f} s{earlier}: {done.output}/scored")
    if done.refused_rows:
        output.line(f"{done.refused_rows:,} rows refused, with the reason in {done.output}/refused")
    output.result(done)


def differences(output: Output, found: VersionDifferences) -> None:
    """Show where two versions differ."""
    share = found.different / found.rows if found.rows else 0.0
    output.line(f"versions {found.former} and {found.new} differ for {found.different:,} of {found.rows:,} rows ({share:.1%})")
    if found.pairs:
        columns = (f"version {found.former}", f"version {found.new}", "rows")
        output.table(columns, [(each.former, each.new, f"{each.rows:,}") for each in found.pairs], right=columns[2:])
    if found.refused_rows:
        output.line(f"{found.refused_rows:,} rows are not compared: the service would refuse them")
    output.result(found)
