"""What was freed, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from passerelle.cli.output import Output
from passerelle.count_of import count_of

if TYPE_CHECKING:
    from passerelle.stages.bring_back import BroughtBack
    from passerelle.stages.prune import Pruned, Share
    from passerelle.stages.prune_local import LocallyPruned

_MEGABYTE = 1e6
#: Runs that are named; the JSON object holds all.
_MOST_NAMED = 10


def pruned(output: Output, result: Pruned) -> None:
    """Show what was freed, what will be, and what stays."""
    would = "would be " if result.dry_run else ""
    of = f"{_runs(result.hidden)} deleted in MLflow"
    hidden = f"hidden; {of}, for good after {result.days} days" if result.way_back else f"freed for good; {of}"
    lines = (
        (result.hidden, f"{would}{hidden}"),
        (result.freed, f"{would}freed for good, hidden for more than {result.days} days"),
        (result.former, f"of former versions {would}freed for good, replaced more than {result.days} days ago"),
        (result.uploads, f"of unfinished uploads {would}freed"),
    )
    for share, happened in lines:
        if share.objects:
            output.line(f"{_size(share)} {happened}")
    if not result.changed:
        output.line("nothing to free")
    if result.unknown.objects:
        output.line(f"left alone: {_size(result.unknown)} of {_runs(result.unknown)} that MLflow does not know; --unknown includes them")
    for kept in result.kept[:_MOST_NAMED]:
        output.line(f"kept: {kept.name}, which {kept.needed_by} needs")
    if len(result.kept) > _MOST_NAMED:
        output.line(f"kept likewise: {len(result.kept) - _MOST_NAMED} more")
    output.result({**vars(result), "changed": result.changed})


def pruned_here(output: Output, result: LocallyPruned) -> None:
    """Show what was freed on this machine, and what stays."""
    for piece in result.freed:
        output.line(f"{piece.size_bytes / _MEGABYTE:,.1f} MB {'would be ' if result.dry_run else ''}freed: {piece.kind} {piece.name}")
    if not result.changed:
        output.line("nothing to free")
    elif any(piece.kind == "image" for piece in result.freed):
        output.line("layers that other images share are counted, and stay")
    for piece in result.kept[:_MOST_NAMED]:
        output.line(f"kept: {piece.kind} {piece.name}: {piece.why}")
    if len(result.kept) > _MOST_NAMED:
        output.line(f"kept likewise: {len(result.kept) - _MOST_NAMED} more")
    if result.engine is None:
        output.line(f"images were not looked at: {result.no_engine}")
    output.result({**vars(result), "changed": result.changed})


def brought_back(output: Output, result: BroughtBack) -> None:
    """Show what is read again."""
    if not result.artifacts.objects:
        output.line(f"nothing of {result.run_id} is hidden")
    else:
        output.line(f"{_size(result.artifacts)} of {result.run_id} {'would be' if result.dry_run else 'are'} read again")
    if not result.restored:
        output.line(f"the run is deleted in MLflow and would be hidden again: mlflow runs restore --run-id {result.run_id}")
    output.result(result)


def _size(share: Share) -> str:
    return f"{share.size_bytes / _MEGABYTE:,.1f} MB in {count_of(share.objects, 'object')}"


def _runs(share: Share) -> str:
    return count_of(share.runs, "run or model", "runs and models")
