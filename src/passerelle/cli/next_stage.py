"""The command of the next stage, which a stage names when it is done."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from passerelle.cli.model_choice import is_typed
from passerelle.cli.output import Output

if TYPE_CHECKING:
    from passerelle.bentos.build import BuiltBento
    from passerelle.stages.compare import Comparison
    from passerelle.stages.import_model import ImportedModel
    from passerelle.stages.register import Registered


def after_comparison(output: Output, result: Comparison, *, criteria: Path) -> None:
    """Print how the best candidate is registered, where one meets the criteria."""
    if result.best is not None:
        output.next_commands(f"passerelle register --run {result.best.run_id}{_of_typed(criteria)}")


def after_registration(output: Output, result: Registered, *, criteria: Path) -> None:
    """Print how the version is promoted."""
    if result.ref is not None and not result.dry_run:
        output.next_commands(f"passerelle promote --version {result.ref.version}{_of_typed(criteria)}")


def after_import(output: Output, result: ImportedModel) -> None:
    """Print how a bento is built of the bento model."""
    if not result.dry_run:
        output.next_commands(f"passerelle build {result.bento_model_tag}")


def after_build(output: Output, result: BuiltBento) -> None:
    """Print how the bento is served, and how an image is made of it."""
    if not result.dry_run:
        output.next_commands(f"passerelle deploy {result.bento_tag}\npasserelle containerize {result.bento_tag}")


def _of_typed(criteria: Path) -> str:
    """Return the option that names the criteria, where it was typed: the next stage then needs it too."""
    return f" --criteria {shlex.quote(str(criteria))}" if is_typed("criteria_path") else ""
