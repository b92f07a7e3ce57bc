"""The command that tries what everything else needs."""

from __future__ import annotations

from pathlib import Path

import click

from passerelle.cli.connect import surroundings
from passerelle.cli.options import json_option, project_option
from passerelle.cli.output import Output
from passerelle.cli.prerequisites import needs

# Each command imports its own late, so that `--help` answers at once.
# ruff: noqa: PLC0415


@click.command()
@project_option
@click.option("--write-test", is_flag=True, help="Also write a few objects to the bucket, and remove them again.")
@click.option("--timeout", "timeout_s", type=click.FloatRange(1, 600), default=20, show_default=True, help="Longest wait, in seconds.")
@json_option
@needs()
def doctor(project: Path, write_test: bool, timeout_s: float, as_json: bool) -> None:
    """Find what is wrong here, with the command that fixes it.

    Exit codes: 0 nothing is wrong but for warnings, 1 something is, 2 usage or a setting.
    """
    from passerelle.cli import show_doctor
    from passerelle.stages import doctor as stage

    found = stage.run(surroundings(), project=project, write_test=write_test, timeout_s=timeout_s)
    show_doctor.examination(Output(as_json=as_json), found)
    if found.faults:
        raise SystemExit(1)
