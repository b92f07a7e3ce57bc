"""The next commands of a gate that needs more than it has: each names its version, since an adopted one belongs to any registered model."""

from __future__ import annotations

import shlex

from passerelle.names import ModelVersionRef


def with_rows(ref: ModelVersionRef) -> str:
    """Return the command that judges the version by labelled rows."""
    return f"{promote_command(ref)} --held-out FILE --label COLUMN"


def with_waiver(ref: ModelVersionRef, check: str) -> str:
    """Return the command that promotes the version with a waiver, for a reason."""
    return f"{promote_command(ref)} --waive {check} --reason REASON"


def with_report(ref: ModelVersionRef) -> str:
    """Return the command that writes the gate's page to a file and promotes nothing."""
    return f"{promote_command(ref)} --dry-run --report report.html"


def promote_command(ref: ModelVersionRef) -> str:
    """Return the command that promotes the version, without options."""
    return f"passerelle promote --model {shlex.quote(ref.registered_model)} --version {ref.version}"
