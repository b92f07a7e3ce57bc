"""What `new` asks and prints."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from passerelle.cli.output import Output, relative
from passerelle.errors import UsageError, shell_word
from passerelle.project.answers import Answers, answers, similar
from passerelle.project.create import NewProject, check_free
from passerelle.project.update import Update
from passerelle.project_file import LANGUAGES, TARGETS

_ACTIONS = {"add": "added", "replace": "replaced", "remove": "removed", "keep": "yours, left as it is"}


def answers_of(folder: Path, given: Mapping[str, Any], *, ask: bool) -> Answers:
    """Return the checked answers: given by options, asked in a terminal, or by default.

    Raises:
        UsageError: The folder holds something, or an answer cannot be used.
    """
    check_free(folder.absolute())
    from_terminal = _ask(folder, given) if ask and sys.stdin is not None and sys.stdin.isatty() else {}
    kept = {key: value for key, value in {**given, **from_terminal}.items() if key not in {"name", "data"} and value is not None}
    data = {"data": given["data"]} if given["data"] is not None else {}
    name = from_terminal.get("name") or given["name"] or folder.resolve().name
    try:
        return answers(name, **kept, **data)
    except UsageError as error:
        if error.hint != f"passerelle new {similar(name)}":
            raise
        typed = " ".join(_typed(folder, {**given, "name": similar(name)}))
        raise UsageError(error.message, hint=f"passerelle new {typed}") from error


def _typed(folder: Path, given: Mapping[str, Any]) -> list[str]:
    """Return the folder and the options of the command, so that a hint repeats them."""
    words = [shell_word(folder)]
    for option, value in given.items():
        name = f"--{option.rstrip('s') if isinstance(value, tuple) else option}".replace("_", "-")
        if isinstance(value, tuple):
            words += [f"{name} {shell_word(each)}" for each in value]
        elif value is not None and value is not False:
            words.append(name if value is True else f"{name} {shell_word(value)}")
    return words


def created(output: Output, project: NewProject) -> None:
    """Print what was written, and what to type next."""
    output.result(project)
    if project.dry_run:
        output.line(f"would write {len(project.files)} files to {project.folder}:")
        for name in project.files:
            output.line(f"  {name}")
        return
    output.line(f"{project.name}: {len(project.files)} files in {project.folder}. Next:")
    if project.folder != Path.cwd():
        output.line(f"  cd {shell_word(relative(project.folder))}")
    output.line("  make demo        train, choose, register, promote, build, serve and ask")
    output.line("  make test        the project's own tests")


def refuse_answers(folder: Path, given: Mapping[str, Any]) -> None:
    """Check that no answer is given to an update, which takes them from passerelle.toml; raises UsageError otherwise."""
    if any(value not in (None, False, ()) for value in given.values()):
        message = f"--update takes the project's answers from {folder / 'passerelle.toml'}; change them there"
        raise UsageError(message, hint=f"passerelle new {shell_word(folder)} --update")


def updated(output: Output, found: Update, folder: Path, *, applied: bool) -> None:
    """Print the diff of an update, and whether it was applied."""
    output.result(found)
    for change in found.changes:
        output.verbatim(change.diff.rstrip("\n"))
    for change in found.changes:
        output.line(
            f"{change.path}: {_ACTIONS[change.action] if applied or change.action == 'keep' else 'would be ' + _ACTIONS[change.action]}"
        )
    if not found.changes:
        output.line(f"up to date: passerelle {found.version} would write nothing otherwise")
    elif not applied and any(change.action != "keep" for change in found.changes):
        output.line(f"next: passerelle new {shell_word(folder)} --update --yes")


def _ask(folder: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answers to what no option answers: at most five questions."""
    answers: dict[str, Any] = {}
    if given["name"] is None:
        answers["name"] = click.prompt("Name of the project", default=similar(folder.absolute().name))
    if given["language"] is None:
        answers["language"] = click.prompt("Language of the README and of the texts", default="fr", type=click.Choice(LANGUAGES))
    if not (given["table"] or given["text_columns"] or given["feature_columns"]):
        text = click.prompt("Column of the text, or `table` for a table without text", default="text")
        answers |= {"table": True} if text == "table" else {"text_columns": (text,)}
    if given["label_column"] is None:
        answers["label_column"] = click.prompt("Column of the class", default="label")
    if given["target"] is None:
        answers["target"] = click.prompt("Where it is served", default="embedded", type=click.Choice(TARGETS))
    return answers
