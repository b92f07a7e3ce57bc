"""Click's errors in plainer words: what a number must be, and where an option or a version belongs."""

from __future__ import annotations

import re

import click

_KINDS = {"integer range": "a whole number", "integer": "a whole number", "float range": "a number", "float": "a number"}
_NO_NUMBER = re.compile(rf" is not a valid ({'|'.join(_KINDS)})\.")


def plainer(error: click.ClickException) -> click.ClickException:
    """Return the error in plain words where Click's are a riddle, and else as it is."""
    if isinstance(error, click.NoSuchOption) and error.ctx is not None:
        return _option(error, error.ctx)
    if isinstance(error, click.BadParameter):
        message = _NO_NUMBER.sub(lambda found: f" is not {_KINDS[found[1]]}.", error.message)
        return error if message == error.message else click.BadParameter(message, error.ctx, error.param, error.param_hint)
    if isinstance(error, click.UsageError) and error.ctx is not None:
        found = re.fullmatch(r"Got unexpected extra argument \((\d+)\)", error.message)
        if found and any("--version" in parameter.opts for parameter in error.ctx.command.params):
            return click.UsageError(f"{error.message}. Did you mean '{error.ctx.command_path} --version {found[1]}'?", error.ctx)
    return error


def _option(error: click.NoSuchOption, context: click.Context) -> click.UsageError:
    """Say that an option of a command goes after it, and propose no option that merely has a letter in common."""
    group, name = context.command, error.option_name
    if isinstance(group, click.Group) and any(name in each.opts for command in group.commands.values() for each in command.params):
        return click.UsageError(f"{name} goes after the command: {context.command_path} COMMAND {name}", context)
    alike = [each for each in error.possibilities or () if each not in {"--help", "--json"} or each[2] == name.strip("-")[:1]]
    return click.NoSuchOption(name, possibilities=alike, ctx=context)
