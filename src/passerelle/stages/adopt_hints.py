"""The command that a refused adoption names next: about the same model, with the options that were given before."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from passerelle.model.adoption import Adoption
from passerelle.model.flavors.logged import LoggedFlavor
from passerelle.stages.adopt_options import AdoptOptions

_ANY = "models:/NAME/VERSION"
#: Options that stand for each other: the one that a hint names replaces the other.
_INSTEAD = {"--signature": "--text-column", "--text-column": "--signature"}
Option = tuple[str, str]


def given(options: AdoptOptions, registered_model: str | None = None) -> list[Option]:
    """Return each option with its value as it was typed.

    Args:
        options: Of this adoption.
        registered_model: That a run's model is to become a version of, if it was given; None for a version.
    """
    words = shlex.split(options.typed)
    return [*zip(words[::2], words[1::2], strict=True), *((("--model", registered_model),) if registered_model is not None else ())]


def options_of(adoption: Adoption, flavor: LoggedFlavor) -> list[Option]:
    """Return the options that an adopted model needs again, as far as its record tells them: it holds no name of a file."""
    columns = [("--text-column", str(each["name"])) for each in json.loads(adoption.signature["inputs"]) if adoption.input_form != "table"]
    dropped = [("--drop-column", name) for name in adoption.dropped_columns]
    labels = [("--labels", "FILE")] if adoption.labels else []
    other = bool(flavor.python) and not f"{flavor.python}.".startswith(f"{adoption.python}.")
    return [*columns, *dropped, *labels, *([("--python", adoption.python)] if other else [])]


def completed(hint: str, message: str, address: str, typed: Sequence[Option]) -> str:
    """Return the hint with the model's address, and in each `passerelle adopt` the options that were given besides its own.

    An option that the message names is the one that is wrong: it is left out where the hint has no other value for it.

    Args:
        hint: Commands, one alternative a line.
        message: What the hint follows.
        address: Of the model.
        typed: Each option with its value.
    """

    def command(found: re.Match[str]) -> str:
        words = shlex.split(found["own"])
        own = list(zip(words[::2], words[1::2], strict=True))
        kept = [each for each in typed if not _replaced(each, own) and not _is_wrong(each, message)]
        return f"passerelle adopt {address}" + "".join(f" {name} {_quoted(value)}" for name, value in [*kept, *own])

    return _adopt_command(address).sub(command, hint).replace(_ANY, address)


def then_converted(hint: str, message: str, conversion: tuple[str, str, str], typed: Sequence[Option]) -> str:
    """Return the hint of a conversion for whose environment no versions were found: what `completed` says of adopting, then converting.

    Args:
        hint: Of the refusal, as for an adoption.
        message: What it follows.
        conversion: The address of the model, the command that converts it, and the one for another form.
        typed: The options that the model was adopted with, as far as they are known.
    """
    address, convert, other = conversion
    pattern = _adopt_command(address)

    def command(found: re.Match[str]) -> str:
        return f"{completed(found[0], message, address, typed)}; {convert}" if found["own"] else convert

    again = pattern.sub(command, hint).replace(_ANY, address)
    return hint if again == hint else f"{again}\n{other}"


def _adopt_command(address: str) -> re.Pattern[str]:
    return re.compile(
        rf"passerelle adopt (?:{re.escape(_ANY)}|{re.escape(address)})(?P<own>(?: --[a-z-]+ (?:'[^'\n]*'|[^\s';]+))*)(?=$|;|\n)"
    )


def _replaced(option: Option, own: Sequence[Option]) -> bool:
    name, value = option
    if name == "--override":
        return any(other == name and _package(theirs) == _package(value) for other, theirs in own)
    return name != "--drop-column" and any(name in {other, _INSTEAD.get(other)} for other, _ in own)


def _is_wrong(option: Option, message: str) -> bool:
    name, value = option
    if name in {"--override", "--drop-column"}:
        return f"'{value}'" in message
    return name in message or (name == "--examples" and "of the examples" in message)


def _package(override: str) -> str:
    try:
        return canonicalize_name(Requirement(override).name)
    except InvalidRequirement:
        return override


def _quoted(value: str) -> str:
    """Return the value as it is typed: quoted where the shell would read it as something else."""
    return f"'{value}'" if re.search(r"[<>=; ]", value) and "'" not in value else shlex.quote(value)
