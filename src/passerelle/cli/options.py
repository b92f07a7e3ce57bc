"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Command = Callable[..., Any]

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Say what would change and change nothing.")
criteria_option = click.option(
    "--criteria",
    "criteria_path",
    type=click.Path(path_type=Path),
    default=Path("training/criteria.yaml"),
    show_default=True,
    help="What a model must reach and how models are ranked.",
)


def read_project_settings(ctx: click.Context, _: click.Parameter | None, project: Path) -> Path:
    """Put the settings of a project's passerelle.toml into the environment, in the place of those of a project that was read before."""
    if ctx.resilient_parsing or not (project / "passerelle.toml").is_file():  # the shell completes a line, and nothing will run
        return project
    from passerelle.project_file import apply_settings  # noqa: PLC0415 - `--help` answers without it

    def forget() -> None:
        for variable in ctx.meta.pop("passerelle.toml", ()):
            os.environ.pop(variable, None)

    forget()
    ctx.meta["passerelle.toml"] = apply_settings(project)
    ctx.call_on_close(forget)
    return project


project_option = click.option(
    "--project",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    callback=read_project_settings,
    show_default="this folder",
    help="Folder that holds bentofile.yaml and service.py.",
)


log_column_option = click.option(
    "--log-column",
    "log_columns",
    metavar="NAME",
    multiple=True,
    help="Column of the record that the prediction log holds; once for each.  [default: PASSERELLE_LOG_COLUMN]",
)


language_option = click.option(
    "--language", type=click.Choice(["fr", "en"]), help="Of the page.  [default: PASSERELLE_LANGUAGE, or that of the project, or fr]"
)


target_option = click.option(
    "--target",
    type=click.Choice(["embedded", "compose"]),
    default="embedded",
    show_default=True,
    help="The embedded platform, or the compose stack.",
)


#: Where a command's context keeps the settings that its options gave, by the names of their variables.
GIVEN_SETTINGS = f"{__name__}.given_settings"


def _trust_pickle(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.meta.setdefault(GIVEN_SETTINGS, {})["PASSERELLE_TRUST_PICKLE"] = "true"


trust_pickle_option = click.option(
    "--trust-pickle",
    is_flag=True,
    expose_value=False,
    callback=_trust_pickle,
    help="Load a pickle, which runs code of its own; recorded, and refused in production.",
)


def model_option(help_text: str = "Registered model.") -> Callable[[Command], Command]:
    """Return the option that names a registered model; by default the one of the settings."""
    return click.option("--model", "registered_model", help=help_text + "  [default: PASSERELLE_REGISTERED_MODEL or classification]")


def version_option(help_text: str) -> Callable[[Command], Command]:
    """Return the option that names one version of the registered model."""
    return click.option("--version", type=click.IntRange(min=1), help=help_text)
