"""The next commands of a gate that needs more than it has: each names its version, since an adopted one belongs to any registered model."""

from __future__ import annotations

import shlex

from passerelle.names import ModelVersionRef


def with_rows(ref: ModelVersionRef) -> str:
    """Return the command that judges the version by labelled rows."""
    return f"{_promote(ref)} --held-out FILE --label COLUMN"


def with_reason(ref: ModelVersionRef, *, waive: str = "") -> str:
    """Return the command that promotes the version for a reason, with a waiver if one is named."""
    return f"{_promote(ref)}{f' --waive {waive}' if waive else ''} --reason REASON"


def with_report(ref: ModelVersionRef) -> str:
    """Return the command that writes the gate's page to a file and promotes nothing."""
    return f"{_promote(ref)} --dry-run --report report.html"


def with_rows_or_reason(ref: ModelVersionRef) -> str:
    """Return both commands, a line each."""
    return "\n".join((with_rows(ref), with_reason(ref)))


def _promote(ref: ModelVersionRef) -> str:
    return f"passerelle promote --model {shlex.quote(ref.registered_model)} --version {ref.version}"
