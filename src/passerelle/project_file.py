"""passerelle.toml, the file that names a project, its settings and its data."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from pydantic import AliasChoices, SecretStr

from passerelle.errors import SettingsError, UsageError
from passerelle.known_settings import all_settings
from passerelle.settings import PREFIX, Settings, variable_of

FILE = "passerelle.toml"
LANGUAGES = ("fr", "en")
TARGETS = ("embedded", "compose", "kubernetes")
#: The demo's own, for a project without the file.
_NAME = "classification"
_KEYS = {"project": ("name", "language", "target"), "data": ("file", "text_column", "feature_columns", "label_column")}


@dataclass(frozen=True)
class Data:
    """The data set that comes with a project.

    Attributes:
        file: Path below the project's root.
        text_column: Column of the text; None for a table.
        feature_columns: Columns of a table without text.
    """

    file: str = "training/data/comments.csv"
    label_column: str = "label"
    text_column: str | None = "text"
    feature_columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class ProjectFile:
    """The content of passerelle.toml.

    Attributes:
        variables: The settings by the names of their environment variables.
    """

    name: str = _NAME
    language: str = "fr"
    target: str = "embedded"
    variables: Mapping[str, str] = field(default_factory=dict)
    data: Data = Data()


def read_project_file(root: Path) -> ProjectFile:
    """Return the content of a project's passerelle.toml, or the values of the demo without one.

    Raises:
        UsageError: The file is not TOML, or a key or value is not one of those that it may hold.
        SettingsError: It sets something that is no setting, or a secret.
    """
    path = root / FILE
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ProjectFile()
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path}: {error}", hint=f"git diff {path}") from error
    _check_keys(path, content, (*_KEYS, "settings"), "section")
    for section in (*_KEYS, "settings"):
        if not isinstance(content.get(section, {}), dict):
            raise UsageError(f"{path}: {section} is not a section", hint=f"git diff {path}")
    project = content.get("project", {})
    _check_keys(path, project, _KEYS["project"], "key of [project]")
    for key, allowed in (("name", None), ("language", LANGUAGES), ("target", TARGETS)):
        value = project.get(key)
        if value is not None and (not isinstance(value, str) or (allowed and value not in allowed)):
            raise UsageError(f"{path}: {key} is {value!r}, not {' or '.join(allowed or ('a text',))}", hint=f"git diff {path}")
    return ProjectFile(
        **project,
        variables=_variables(path, {**_language(project), **content.get("settings", {})}),
        data=_data(path, content.get("data", {})),
    )


def _language(project: Mapping[str, Any]) -> dict[str, str]:
    """Return the setting of the pages' language: the project's, where it names one."""
    return {"language": project["language"]} if "language" in project else {}


def apply_settings(root: Path, environment: MutableMapping[str, str] | None = None) -> tuple[str, ...]:
    """Put the settings of a project's passerelle.toml into the environment, except where it holds them already.

    Returns:
        The variables that were set.
    """
    environment = os.environ if environment is None else environment
    names = _alternatives()
    chosen = {
        variable: value
        for variable, value in read_project_file(root).variables.items()
        if not any(name in environment for name in names[variable])
    }
    environment.update(chosen)
    return tuple(chosen)


def _settings() -> dict[str, tuple[type[Settings], str]]:
    """Return each setting's group and field by the name that the file uses."""
    fields = ((group, name) for group in all_settings() for name in group.model_fields)
    return {variable_of(group, name).removeprefix(PREFIX).lower(): (group, name) for group, name in fields}


def _alternatives() -> dict[str, tuple[str, ...]]:
    """Return for each setting's variable all variables that it is read from."""
    found = {}
    for group, name in _settings().values():
        alias = group.model_fields[name].validation_alias
        others = [str(choice) for choice in alias.choices if str(choice).isupper()] if isinstance(alias, AliasChoices) else []
        found[variable_of(group, name)] = (variable_of(group, name), *others)
    return found


def _variables(path: Path, given: Mapping[str, Any]) -> dict[str, str]:
    known = _settings()
    variables = {}
    for key, value in given.items():
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            way_out = f"did you mean {close[0]}?" if close else "docs/settings.md lists the settings"
            raise SettingsError(f"{path}: {key} is not a setting of passerelle; {way_out}", hint=f"git diff {path}")
        group, name = known[key]
        variable = variable_of(group, name)
        annotation = group.model_fields[name].annotation
        if SecretStr in (annotation, *get_args(annotation)):
            message = f"{path}: {key} is a secret, and this file is in git: remove it there"
            raise SettingsError(message, hint=f"export {variable}=SECRET")
        if not isinstance(value, str | int | float):
            raise SettingsError(f"{path}: the setting {key} is not a text, a number or true or false", hint=f"git diff {path}")
        variables[variable] = str(value).lower() if isinstance(value, bool) else str(value)
    return variables


def _data(path: Path, given: Mapping[str, Any]) -> Data:
    _check_keys(path, given, _KEYS["data"], "key of [data]")
    if not given:
        return Data()
    features = given.get("feature_columns", [])
    texts = [value for key, value in given.items() if key != "feature_columns"]
    if not isinstance(features, list) or not all(isinstance(value, str) for value in (*texts, *features)):
        raise UsageError(f"{path}: a value of [data] is not a text or, for feature_columns, a list of texts", hint=f"git diff {path}")
    missing = [key for key in ("file", "label_column") if key not in given]
    if missing:
        raise UsageError(f"{path}: [data] lacks {missing[0]}", hint=f"git diff {path}")
    if ("text_column" in given) == bool(features):
        raise UsageError(f"{path}: [data] needs text_column or feature_columns, and not both", hint=f"git diff {path}")
    return Data(given["file"], given["label_column"], given.get("text_column"), tuple(features))


def _check_keys(path: Path, given: Mapping[str, Any], known: tuple[str, ...], kind: str) -> None:
    for key in given:
        if key not in known:
            raise UsageError(f"{path}: {key} is not a {kind}; these are: {', '.join(known)}", hint=f"git diff {path}")
