"""Options that several commands share."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from passerelle.cli.model_choice import FROM_FILE, GIVEN_SETTINGS, asking_which_model, choose_model, keep_named_model, named_by_environment
from passerelle.stages.acceptance import ACCEPTANCES

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


accept_option = click.option(
    "--accept",
    type=click.Choice(ACCEPTANCES),
    metavar="WHAT",
    multiple=True,
    help="Accept this although it speaks against the version; needs --reason, which accepts one thing alone without it. One of "
    + ", ".join(ACCEPTANCES)
    + "; once for each.",
)


def read_project_settings(ctx: click.Context, _: click.Parameter | None, project: Path) -> Path:
    """Put the settings of a project's passerelle.toml into the environment, in the place of those of a project that was read before."""
    if ctx.resilient_parsing or not (project / "passerelle.toml").is_file():  # the shell completes a line, and nothing will run
        return project
    from passerelle.project_file import apply_settings  # noqa: PLC0415 - `--help` answers without it

    def forget() -> None:
        for variable in ctx.meta.pop(FROM_FILE, ()):
            os.environ.pop(variable, None)

    forget()
    ctx.meta[FROM_FILE] = apply_settings(project)
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


class DataPlace(click.Path):
    """A path, or an address in S3, which stays as it was typed."""

    def convert(self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path, or the address as a string."""
        return value if isinstance(value, str) and value.startswith("s3://") else super().convert(value, param, ctx)


def data_option(command: Command) -> Command:
    """Add the options that name the data to train on."""
    sheet = click.option("--sheet", help="Of a workbook.  [default: the first]")
    words = "CSV, xlsx, JSON or Parquet file, also as .gz, or s3://BUCKET/KEY.  [default: the demo's comments]"
    return click.option("--data", type=DataPlace(path_type=Path), metavar="FILE", help=words)(sheet(command))


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


def named_model_option(help_text: str) -> Callable[[Command], Command]:
    """Return the option that names a registered model, which the commands of hints then name too."""
    return click.option("--model", "registered_model", callback=keep_named_model, help=help_text)


def model_option(
    help_text: str = "Registered model.",
    *,
    only_of_project: bool = False,
    where: Callable[[Mapping[str, Any]], bool] = lambda _: True,
) -> Callable[[Command], Command]:
    """Return the option that names a registered model; by default the project's only one, and of several the command asks which.

    Args:
        only_of_project: Refuse a model that passerelle.toml does not name.
        where: Whether the command needs a model, by its options.
    """

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def of_one_model(**options: Any) -> Any:
            if where(options):
                choose_model(click.get_current_context(), options, only_of_project=only_of_project)
            return command(**options)

        default = "  [default: PASSERELLE_REGISTERED_MODEL, or the project's only one]"
        return named_model_option(help_text + default)(of_one_model)

    return decorate


def stored_model_option(help_text: str) -> Callable[[Command], Command]:
    """Return the option that names a registered model among those in the BentoML store, or those that are served here."""

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def of_one_model(**options: Any) -> Any:
            context = click.get_current_context()
            options["registered_model"] = options["registered_model"] or named_by_environment(context)
            with asking_which_model():
                return command(**options)

        return named_model_option(help_text)(of_one_model)

    return decorate


def version_option(help_text: str) -> Callable[[Command], Command]:
    """Return the option that names one version of the registered model."""
    return click.option("--version", type=click.IntRange(min=1), help=help_text)
