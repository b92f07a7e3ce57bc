"""Which registered model a command is about: the one place that decides it."""

from __future__ import annotations

import difflib
import os
import shlex
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from passerelle.errors import SeveralModelsError, UsageError
from passerelle.stages.hints import about_model

if TYPE_CHECKING:
    from passerelle.project_file import ProjectModel

#: Where a command's context keeps the settings that its options gave, by the names of their variables.
GIVEN_SETTINGS = f"{__name__}.given_settings"
#: Where it keeps the variables that passerelle.toml gave.
FROM_FILE = "passerelle.toml"
#: Where it keeps what was typed after `passerelle`.
ARGUMENTS = f"{__name__}.arguments"
#: Where it keeps the model that `--model` named.
_NAMED = f"{__name__}.named"
_MODEL, _EXPERIMENT = "PASSERELLE_REGISTERED_MODEL", "PASSERELLE_EXPERIMENT"


def keep_named_model(context: click.Context, _: click.Parameter, value: str | None) -> str | None:
    """Keep the model that `--model` named, for the commands that a hint or a result names next."""
    if value is not None:
        context.meta[_NAMED] = value
    return value


def about_named_model(commands: str) -> str:
    """Return commands, as a hint holds them, about the model that the command itself was given by `--model`."""
    context = click.get_current_context(silent=True)
    named = context.meta.get(_NAMED) if context else None
    return about_model(commands, named) if named else commands


def is_typed(option: str) -> bool:
    """Return whether an option of the command was given on its command line."""
    return click.get_current_context().get_parameter_source(option) == ParameterSource.COMMANDLINE


def choose_model(context: click.Context, options: MutableMapping[str, Any], *, only_of_project: bool = False) -> None:
    """Put the model that a command is about into its options, with the experiment and the criteria that passerelle.toml gives that model.

    The model is the one of `--model`, else of the environment, else the only one of the project.

    Args:
        only_of_project: Refuse a model that passerelle.toml does not name.

    Raises:
        UsageError: The project has several and none is named, or none of this name.
    """
    models = models_of_project(options)
    named = options["registered_model"] or named_by_environment(context)
    if named is None and len(models) > 1:
        raise typed_for_each(SeveralModelsError("this project has several registered models", [model.name for model in models]))
    model = next((each for each in models if each.name == named), None)
    if model is None:
        if only_of_project and options["registered_model"]:
            raise _not_of_project(options["registered_model"], models)
        return
    options["registered_model"] = model.name
    if not options.get("experiment") and not _is_given(context, _EXPERIMENT):
        context.meta.setdefault(GIVEN_SETTINGS, {})[_EXPERIMENT] = model.experiment
    if context.get_parameter_source("criteria_path") == ParameterSource.DEFAULT:
        options["criteria_path"] = Path(model.criteria)


def models_of_project(options: Mapping[str, Any]) -> tuple[ProjectModel, ...]:
    """Return the models of the project that a command works on; none where no passerelle.toml is there to say more than the settings do."""
    root = options.get("project") or Path()
    if not (root / "passerelle.toml").is_file():
        return ()
    from passerelle.project_file import read_project_file  # noqa: PLC0415 - `--help` answers without it

    return read_project_file(root).models


def named_by_environment(context: click.Context) -> str | None:
    """Return the model that the environment names; the one of passerelle.toml is the project's default, and named by nobody."""
    return os.environ.get(_MODEL) if _is_given(context, _MODEL) else None


@contextmanager
def asking_which_model() -> Iterator[None]:
    """Let the error of a stage that found several models name the command for each."""
    try:
        yield
    except SeveralModelsError as question:
        raise typed_for_each(question) from None


def typed_for_each(question: SeveralModelsError) -> SeveralModelsError:
    """Return the error with a hint: the command that was typed, once for each of the models."""
    words = click.get_current_context().meta.get(ARGUMENTS, ())
    question.hint = "\n".join(f"passerelle {shlex.join([*words, '--model', name])}" for name in question.registered_models)
    return question


def _is_given(context: click.Context, variable: str) -> bool:
    return variable in os.environ and variable not in context.meta.get(FROM_FILE, ())


def _not_of_project(name: str, models: Sequence[ProjectModel]) -> UsageError:
    others = [model.name for model in models]
    if not others:
        return UsageError(f"there is no passerelle.toml here that says what {name} learns from", hint="passerelle new my-project")
    message = f"passerelle.toml has no table [models.{name}], which says what it learns from (docs/second-classifier.md)"
    close = difflib.get_close_matches(name, others, n=1)
    # What was typed, about a model that is there.
    words = _without_model(click.get_current_context().meta.get(ARGUMENTS, ()))
    refused = UsageError(f"{message}; it has {', '.join(others)}")
    refused.hint = "\n".join(f"passerelle {shlex.join([*words, '--model', other])}" for other in close or others)
    return refused


def _without_model(words: Sequence[str]) -> list[str]:
    """Return what was typed without `--model NAME` and `--model=NAME`."""
    places = {place for place, word in enumerate(words) if word == "--model"}
    return [word for place, word in enumerate(words) if not {place, place - 1} & places and not word.startswith("--model=")]
