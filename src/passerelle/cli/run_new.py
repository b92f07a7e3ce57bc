"""What `new` asks and prints, and the check of a project before a command starts servers."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from passerelle.cli.output import Output, relative
from passerelle.errors import UsageError
from passerelle.project.answers import Answers, answers, similar
from passerelle.project.check import check_project
from passerelle.project.create import check_free
from passerelle.project.create import create as create_project
from passerelle.project.update import update as update_project
from passerelle.project_file import LANGUAGES, TARGETS

_ACTIONS = {"add": "added", "replace": "replaced", "remove": "removed", "keep": "yours, left as it is"}


def check(project: Path, criteria_path: Path | None = None) -> None:
    """Check that the folder is a project, and say what a person should know, on stderr."""
    for note in check_project(project, criteria_path):
        click.echo(f"note: {note}", err=True)


def create(output: Output, folder: Path, given: Mapping[str, Any], *, ask: bool, dry_run: bool) -> None:
    """Write a project, after the questions that no option answers."""
    check_free(folder.absolute())
    asked = _asked(folder, given) if ask and sys.stdin.isatty() else {}
    made = create_project(folder, _answers(folder, {**given, **asked}), data=given["data"], dry_run=dry_run)
    output.result(made)
    if dry_run:
        output.line(f"would write {len(made.files)} files to {made.folder}:")
        for name in made.files:
            output.line(f"  {name}")
        return
    output.line(f"{made.name}: {len(made.files)} files in {made.folder}. Next:")
    if made.folder != Path.cwd():
        output.line(f"  cd {shlex.quote(relative(made.folder))}")
    output.line("  make demo        train, choose, register, promote, build, serve and ask")
    output.line("  make test        the project's own tests")


def update(output: Output, folder: Path, given: Mapping[str, Any], *, apply: bool) -> None:
    """Print the diff of an update, and whether it was applied.

    Raises:
        UsageError: An answer is given, which an update takes from passerelle.toml.
    """
    if any(value not in (None, False, ()) for value in given.values()):
        message = "--update takes the project's answers from its passerelle.toml"
        raise UsageError(message, hint=f"edit {folder / 'passerelle.toml'}; passerelle new {shlex.quote(str(folder))} --update")
    found = update_project(folder, apply=apply)
    output.result(found)
    for change in found.changes:
        output.line(change.diff.rstrip("\n"))
    for change in found.changes:
        output.line(
            f"{change.path}: {_ACTIONS[change.action] if apply or change.action == 'keep' else 'would be ' + _ACTIONS[change.action]}"
        )
    if not found.changes:
        output.line(f"up to date: passerelle {found.version} would write nothing otherwise")
    elif not apply and any(change.action != "keep" for change in found.changes):
        output.line(f"next: passerelle new {shlex.quote(str(folder))} --update --yes")


def _answers(folder: Path, given: Mapping[str, Any]) -> Answers:
    """Return the checked answers, with the defaults of what is not given."""
    kept = {key: value for key, value in given.items() if key != "name" and value is not None}
    return answers(given["name"] or folder.absolute().name, **kept)


def _asked(folder: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answers to what no option answers: at most five questions."""
    asked: dict[str, Any] = {}
    if given["name"] is None:
        asked["name"] = click.prompt("Name of the project", default=similar(folder.absolute().name))
    if given["language"] is None:
        asked["language"] = click.prompt("Language of the README and of the texts", default="fr", type=click.Choice(LANGUAGES))
    if not (given["table"] or given["text_column"] or given["feature_columns"]):
        text = click.prompt("Column of the text, or `table` for a table without text", default="text")
        asked |= {"table": True} if text == "table" else {"text_column": text}
    if given["label_column"] is None:
        asked["label_column"] = click.prompt("Column of the class", default="label")
    if given["target"] is None:
        asked["target"] = click.prompt("Where it is served", default="embedded", type=click.Choice(TARGETS))
    return asked
