"""The context of every stage: settings, and the registry and the store that they name."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from passerelle.client_settings import ClientSettings
from passerelle.errors import BusyError, OutsideError, UsageError
from passerelle.known_settings import refuse_unknown, with_all_secrets
from passerelle.platform.state import running, starting
from passerelle.settings import (
    MlflowSettings,
    S3Settings,
    SigningSettings,
    StateSettings,
    StoreSettings,
    reading_from,
    variable_of,
)
from passerelle.stages.author import author

if TYPE_CHECKING:
    from passerelle.registry.client import Registry

Progress = Callable[[str], None]
_P = ParamSpec("_P")
_R = TypeVar("_R")
_SERVER = ("PASSERELLE_TRACKING_URI", "MLFLOW_TRACKING_URI")
#: These take precedence over the variables of a platform.
_POINTS_ELSEWHERE = (
    "PASSERELLE_TRACKING_URI",
    "PASSERELLE_S3_ENDPOINT_URL",
    "PASSERELLE_S3_ACCESS_KEY_ID",
    "PASSERELLE_S3_SECRET_ACCESS_KEY",
    "PASSERELLE_S3_REGION",
)
NEW_PROJECT = "passerelle new my-project; cd my-project"
START = "passerelle up\nexport MLFLOW_TRACKING_URI=URL"
CRITERIA = Path("training/criteria.yaml")


def silent(_: str) -> None:
    """Ignore the progress."""


@dataclass(frozen=True)
class Context:
    """The settings of one platform and of one project's state; two of them in one process do not mix.

    Attributes:
        environment: The variables that it was built from; child processes and MLflow's own code get these.
        server: Address of the MLflow server with the names in it; None where none was named, for stages that need none.
        author: Who acts, for the ledger: account@host, with the CI job in front where there is one.
    """

    environment: Mapping[str, str] = field(repr=False)
    state: StateSettings
    store: StoreSettings
    s3: S3Settings
    server: MlflowSettings | None
    signing: SigningSettings
    client: ClientSettings
    author: str

    @property
    def mlflow(self) -> MlflowSettings:
        """The MLflow server.

        Raises:
            OutsideError: None was named, and the embedded platform did not run when the context was built.
            BusyError: Likewise; it is being started.
        """
        if self.server is None:
            pid = starting(self.state.state_dir)
            if pid is not None:
                message = f"the embedded platform in {self.state.state_dir} is starting (process {pid}), and does not answer yet"
                raise BusyError(message, hint="passerelle status")
            raise OutsideError("no MLflow server is named, and the embedded platform does not run", hint=START)
        return self.server

    @property
    def registered_model(self) -> str:
        """The registered model, which the variables name even where they name no server."""
        return self._names.registered_model

    @property
    def experiment(self) -> str:
        """The experiment, likewise."""
        return self._names.experiment

    @property
    def _names(self) -> MlflowSettings:
        return self.server or MlflowSettings.read(self.environment, tracking_uri="")

    @cached_property
    def registry(self) -> Registry:
        """The registry, which answered when it was first asked for.

        Raises:
            OutsideError: MLflow or S3 does not answer, or refuses the keys.
        """
        settings = self.mlflow
        from passerelle.registry.client import Registry  # noqa: PLC0415 - MLflow takes seconds to import, and not every stage needs it

        registry = Registry(settings, self.s3, self.environment)
        registry.check()
        return registry

    @property
    def development(self) -> bool:
        """Whether promotions may be forced here."""
        return self.state.environment == "development"

    def naming(self, *, registered_model: str | None = None, experiment: str | None = None) -> Context:
        """Return the same context for another registered model or experiment."""
        given = {"registered_model": registered_model, "experiment": experiment}
        named = {name: value for name, value in given.items() if value is not None}
        server = self.server.model_copy(update=named) if self.server else None
        return replace(self, environment=_naming(self.environment, named), server=server) if named else self

    def at(self, platform: Mapping[str, str]) -> Context:
        """Return the context of another platform, from the variables by which it is reached."""
        kept = {name: value for name, value in self.environment.items() if name not in _POINTS_ELSEWHERE}
        return context_of({**kept, **platform})


def context_of(environment: Mapping[str, str], *, registered_model: str | None = None, experiment: str | None = None) -> Context:
    """Return the context that variables describe, as `os.environ` holds them; where they name no MLflow server, of the embedded platform.

    Raises:
        SettingsError: A variable has a wrong value, or our prefix and no meaning, or names a secret's file that cannot be used.
    """
    refuse_unknown(environment)
    environment = with_all_secrets(environment)
    state = StateSettings.read(environment)
    variables = _naming(environment, {"registered_model": registered_model, "experiment": experiment})
    if not any(name in variables for name in _SERVER):
        platform = running(state.state_dir)
        variables |= platform.environment if platform else {}
    named = any(name in variables for name in _SERVER)
    home = StoreSettings.read(environment).bentoml_home or state.state_dir.resolve() / "bentoml"
    return Context(
        environment=variables,
        state=state,
        store=StoreSettings.read(environment, bentoml_home=home),
        s3=S3Settings.read(variables),
        server=MlflowSettings.read(variables) if named else None,
        signing=SigningSettings.read(variables),
        client=ClientSettings.read(variables),
        author=author(variables),
    )


def _naming(environment: Mapping[str, str], names: Mapping[str, str | None]) -> dict[str, str]:
    """Return the variables with other names of MLflow's, for the context of another platform too."""
    return {**environment, **{variable_of(MlflowSettings, name): value for name, value in names.items() if value is not None}}


def stage(function: Callable[Concatenate[Context, _P], _R]) -> Callable[Concatenate[Context, _P], _R]:
    """Let all settings that the function reads come from the variables of its context."""

    @functools.wraps(function)
    def run(context: Context, /, *arguments: _P.args, **options: _P.kwargs) -> _R:
        with reading_from(context.environment):
            return function(context, *arguments, **options)

    return run


def project_folder(project: Path) -> Path:
    """Return the folder that holds bentofile.yaml.

    Raises:
        UsageError: It does not hold one.
    """
    if not (project / "bentofile.yaml").is_file():
        raise UsageError(
            f"{project.resolve()} is not a project of passerelle: it holds no bentofile.yaml; --project names another folder",
            hint=NEW_PROJECT,
        )
    return project.resolve()
