"""Whether a text is commands that exist: passerelle's own by their options, make's by their targets, others by the name of the program."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click

from passerelle.cli.main import passerelle

MAKEFILE = Path(__file__).resolve().parents[2] / "Makefile"
#: Programs that a hint may name besides passerelle and make; the shell's own words too.
PROGRAMS = {
    "bentoml", "buildah", "cat", "cd", "chmod", "chown", "df", "docker", "eval", "export", "free", "git", "grep", "head", "iconv",
    "kubectl", "ls", "mkdir", "mlflow", "mv", "newgrp", "openssl", "pip", "podman", "python", "ray", "rm", "sudo", "tail", "tr",
    "ulimit", "unset", "uv",
}  # fmt: skip


def problem_of(text: str) -> str | None:
    """Return what keeps the text from being typed as it stands, or None."""
    if "…" in text:
        return "… stands for something"
    text = re.sub(r'"\$\((.*?)\)"|\$\((.*?)\)', lambda inner: f"SUBSTITUTED ; {inner[1] or inner[2]}", text)
    words = shlex.shlex(text.replace("\n", " ; "), posix=True, punctuation_chars=";|&<>")
    words.whitespace_split = True
    try:
        tokens = list(words)
    except ValueError as error:
        return str(error)
    prose = next((token for token in tokens if token.endswith((",", ":"))), None)
    if prose is not None:
        return f"{prose} is no part of a command"
    command: list[str] = []
    for token in [*tokens, ";"]:
        if token in {";", "|", "&&"}:
            problem = _problem(command) if command else None
            if problem:
                return problem
            command = []
        else:
            command.append(token)
    return None


def _problem(command: list[str]) -> str | None:
    if ">" in command:
        command = command[: command.index(">")]
    while command and re.fullmatch(r"[A-Z][A-Z0-9_]*=.*", command[0]):
        command = command[1:]
    program, *arguments = command or ["export"]
    if program == "passerelle":
        return _of_passerelle(arguments)
    if program == "make":
        targets = re.findall(r"^([\w$()./-]+):", MAKEFILE.read_text(encoding="utf-8"), re.MULTILINE)
        return next(
            (f"make has no target {each}" for each in arguments if each not in {name.replace("$(VENV)", ".venv") for name in targets}), None
        )
    return None if program in PROGRAMS else f"{program} is no program that a hint may name"


def _of_passerelle(arguments: list[str]) -> str | None:
    command: click.Command = passerelle
    context = click.Context(command, info_name="passerelle")
    while isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
        name, *arguments = arguments
        found = command.get_command(context, name)
        if found is None:
            return f"passerelle has no command {name}"
        command, context = found, click.Context(found, info_name=name, parent=context)
    try:
        values, rest, _ = command.make_parser(context).parse_args(list(arguments))
    except click.UsageError as error:
        return f"{context.command_path}: {error.format_message()}"
    if rest and not isinstance(command, click.Group):
        return f"{context.command_path} does not take {rest}"
    if "--help" in arguments:
        return None
    lacking = next((option.name for option in command.params if option.required and values.get(option.name or "") in (None, (), [])), None)
    if lacking is not None:
        return f"{context.command_path} lacks {lacking}"
    return next((problem for option in command.params if (problem := _wrong_choice(option, values.get(option.name or "")))), None)


def _wrong_choice(option: click.Parameter, value: object) -> str | None:
    if not isinstance(option.type, click.Choice) or not isinstance(value, str) or value == "VALUE":
        return None
    return None if value in option.type.choices else f"{option.name} cannot be {value}"
