"""`--trust-pickle` holds for its command alone: as a setting of the command's context, not as a variable of the process."""

from __future__ import annotations

import os
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from passerelle.cli.connect import surroundings
from passerelle.cli.options import trust_pickle_option
from passerelle.settings import LoadingSettings, reading_from


@click.command()
@trust_pickle_option
def loading() -> None:
    with reading_from(surroundings().environment):
        click.echo(f"trusted: {LoadingSettings.read().trust_pickle}")


@pytest.mark.parametrize(("arguments", "trusted"), [(["--trust-pickle"], "True"), ([], "False")])
def test_the_option_is_a_setting_of_its_command(
    arguments: list[str], trusted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PASSERELLE_TRUST_PICKLE", raising=False)
    monkeypatch.setenv("PASSERELLE_STATE_DIR", str(tmp_path))
    done = CliRunner().invoke(loading, arguments, catch_exceptions=False)
    assert done.output == f"trusted: {trusted}\n"
    assert "PASSERELLE_TRUST_PICKLE" not in os.environ
