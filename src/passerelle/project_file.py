"""passerelle.toml, the file that names a project, its settings and its data."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from pydantic import AliasChoices, SecretStr

from passerelle.errors import SettingsError, UsageError, shell_word
from passerelle.known_settings import all_settings
from passerelle.names import bento_name
from passerelle.regular_file import read_regular_file
from passerelle.settings import PREFIX, MlflowSettings, Settings, variable_of

FILE = "passerelle.toml"
LANGUAGES = ("fr", "en")
TARGETS = ("embedded", "compose", "kubernetes")
#: The demo's own, for a project without the file.
_NAME = "classification"
_KEYS = {
    "project": ("name", "language", "target"),
    "data": ("file", "text_column", "optional_text_column", "feature_columns", "label_column"),
}
_LISTS = ("text_column", "optional_text_column", "feature_columns")
_KEYS_OF_MODEL = ("experiment", "criteria", "training", "data")
_REGISTERED_MODEL, _EXPERIMENT = variable_of(MlflowSettings, "registered_model"), variable_of(MlflowSettings, "experiment")


@dataclass(frozen=True)
class Data:
    """The data set that comes with a project.

    Attributes:
        file: Path below the project's root.
        text_columns: Columns of the texts, which the key `text_column` names alone or in a list; none for a table.
        feature_columns: Columns of a table without text.
        optional_text_columns: Further columns of texts, which a record may leave out.
    """

    file: str = "training/data/comments.csv"
    label_column: str = "label"
    text_columns: tuple[str, ...] = ("text",)
    feature_columns: tuple[str, ...] = ()
    optional_text_columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class ProjectModel:
    """A registered model that a project makes.

    Attributes:
        experiment: That the runs of its candidates go to.
        criteria: Path of its criteria.
        training: Path of the folder with its candidates.py and params.py.
        data: What it learns from; None for one that is not trained here, such as an adopted one.
    """

    name: str
    experiment: str
    data: Data | None
    criteria: str = "training/criteria.yaml"
    training: str = "training"


@dataclass(frozen=True)
class ProjectFile:
    """The content of passerelle.toml.

    Attributes:
        variables: The settings by the names of their environment variables.
        further_models: Of the tables [models.NAME], beside the one of the settings.
    """

    name: str = _NAME
    language: str = "fr"
    target: str = "embedded"
    variables: Mapping[str, str] = field(default_factory=dict)
    data: Data = Data()
    further_models: tuple[ProjectModel, ...] = ()

    @property
    def models(self) -> tuple[ProjectModel, ...]:
        """The registered models of the project, the one of its settings first."""
        name, experiment = (self.variables.get(variable, _NAME) for variable in (_REGISTERED_MODEL, _EXPERIMENT))
        return ProjectModel(name, experiment, self.data), *self.further_models

    def model(self, name: str) -> ProjectModel | None:
        """Return the registered model of this name; None where passerelle.toml names none."""
        return next((model for model in self.models if model.name == name), None)


def read_project_file(root: Path) -> ProjectFile:
    """Return the content of a project's passerelle.toml, or the values of the demo without one.

    Raises:
        UsageError: The file is not TOML, or a key or value is not one of those that it may hold.
        SettingsError: It sets something that is no setting, or a secret.
    """
    path = root / FILE
    try:
        content = tomllib.loads(read_regular_file(path).decode())
    except FileNotFoundError:
        return ProjectFile()
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path}: {error}", hint=f"git diff {shell_word(path)}") from error
    _check_keys(path, content, (*_KEYS, "settings", "models"), "section")
    for section in (*_KEYS, "settings", "models"):
        if not isinstance(content.get(section, {}), dict):
            raise UsageError(f"{path}: {section} is not a section", hint=f"git diff {shell_word(path)}")
    project = content.get("project", {})
    _check_keys(path, project, _KEYS["project"], "key of [project]")
    for key, allowed in (("name", None), ("language", LANGUAGES), ("target", TARGETS)):
        value = project.get(key)
        if value is not None and (not isinstance(value, str) or (allowed and value not in allowed)):
            raise UsageError(f"{path}: {key} is {value!r}, not {' or '.join(allowed or ('a text',))}", hint=f"git diff {shell_word(path)}")
    models = tuple(_model(path, name, table) for name, table in content.get("models", {}).items())
    variables = _variables(path, {**_language(project), **content.get("settings", {})})
    found = ProjectFile(**project, variables=variables, data=_data(path, content.get("data", {})), further_models=models)
    _check_models(path, found.models)
    return found


def check_training_folder(folder: Path) -> None:
    """Check that a folder holds the two files that say what is trained, and how.

    Raises:
        UsageError: One of them is missing.
    """
    missing = next((name for name in ("candidates.py", "params.py") if not (folder / name).is_file()), None)
    if missing is not None:
        message = f"{folder.parent} is not a project of passerelle: it holds no {folder.name}/{missing}"
        raise UsageError(message, hint="passerelle new my-project; cd my-project")


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
            raise SettingsError(f"{path}: {key} is not a setting of passerelle; {way_out}", hint=f"git diff {shell_word(path)}")
        group, name = known[key]
        variable = variable_of(group, name)
        annotation = group.model_fields[name].annotation
        if SecretStr in (annotation, *get_args(annotation)):
            message = f"{path}: {key} is a secret, and this file is in git: remove it there"
            raise SettingsError(message, hint=f"export {variable}=SECRET")
        if not isinstance(value, str | int | float):
            raise SettingsError(f"{path}: the setting {key} is not a text, a number or true or false", hint=f"git diff {shell_word(path)}")
        variables[variable] = str(value).lower() if isinstance(value, bool) else str(value)
    return variables


def _model(path: Path, name: str, table: Any) -> ProjectModel:
    section = f"models.{name}"
    if not isinstance(table, dict) or not isinstance(table.get("data", {}), dict):
        raise UsageError(f"{path}: {section} is not a section, or its data is none", hint=f"git diff {shell_word(path)}")
    _check_keys(path, table, _KEYS_OF_MODEL, f"key of [{section}]")
    texts = {key: value for key, value in table.items() if key != "data"}
    if not all(isinstance(value, str) and value for value in texts.values()):
        raise UsageError(f"{path}: a value of [{section}] is not a text", hint=f"git diff {shell_word(path)}")
    data = _data(path, table["data"], f"{section}.data") if table.get("data") else None
    return ProjectModel(name, **{"experiment": name, **texts}, data=data)


def _check_models(path: Path, models: Sequence[ProjectModel]) -> None:
    """Check that no two models of the project share an experiment, or a name in BentoML; raises UsageError otherwise."""
    for number, model in enumerate(models):
        for other in models[:number]:
            if bento_name(model.name) == bento_name(other.name):
                raise UsageError(
                    f"{path}: the models {other.name} and {model.name} are one name for BentoML", hint=f"git diff {shell_word(path)}"
                )
            if model.experiment == other.experiment:
                both = f"the models {other.name} and {model.name} have the same experiment, {model.experiment}"
                raise UsageError(
                    f"{path}: {both}: the best candidate of one would become a version of the other", hint=f"git diff {shell_word(path)}"
                )


def _data(path: Path, given: Mapping[str, Any], section: str = "data") -> Data:
    _check_keys(path, given, _KEYS["data"], f"key of [{section}]")
    if not given:
        return Data()
    lists = {key: given.get(key, []) for key in _LISTS}
    lists |= {key: [value] for key, value in lists.items() if isinstance(value, str) and key != "feature_columns"}
    values = [value for key, value in given.items() if key not in _LISTS]
    values += [each for value in lists.values() for each in (value if isinstance(value, list) else [value])]
    if not all(isinstance(value, list) for value in lists.values()) or not all(isinstance(value, str) for value in values):
        message = f"{path}: a value of [{section}] is not a text or, for {' and '.join(_LISTS)}, a list of texts"
        raise UsageError(message, hint=f"git diff {shell_word(path)}")
    missing = [key for key in ("file", "label_column") if key not in given]
    if missing:
        raise UsageError(f"{path}: [{section}] lacks {missing[0]}", hint=f"git diff {shell_word(path)}")
    texts, optional, features = (tuple(lists[key]) for key in _LISTS)
    if bool(texts) == bool(features) or (optional and features):
        raise UsageError(f"{path}: [{section}] needs text_column or feature_columns, and not both", hint=f"git diff {shell_word(path)}")
    return Data(given["file"], given["label_column"], texts, features, optional)


def _check_keys(path: Path, given: Mapping[str, Any], known: tuple[str, ...], kind: str) -> None:
    for key in given:
        if key not in known:
            raise UsageError(f"{path}: {key} is not a {kind}; these are: {', '.join(known)}", hint=f"git diff {shell_word(path)}")
