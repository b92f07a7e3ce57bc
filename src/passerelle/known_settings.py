"""All settings there are, for the documentation and for the check of unknown variables."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping

from passerelle.build_settings import BuildSettings
from passerelle.client_settings import ClientSettings
from passerelle.cluster_settings import ClusterSettings, DeploymentSettings
from passerelle.errors import SettingsError
from passerelle.follow_settings import FollowSettings
from passerelle.log_settings import LogSettings
from passerelle.retention_settings import RetentionSettings
from passerelle.secret_variables import FILE, secret_variables, with_secrets
from passerelle.settings import (
    PREFIX,
    LoadingSettings,
    MlflowSettings,
    S3Settings,
    ServiceSettings,
    Settings,
    SigningSettings,
    StateSettings,
    StoreSettings,
    variable_of,
)


def all_settings() -> tuple[type[Settings], ...]:
    """Return every settings class, for the documentation and for the check of unknown keys."""
    return (
        StateSettings,
        MlflowSettings,
        S3Settings,
        StoreSettings,
        SigningSettings,
        LoadingSettings,
        BuildSettings,
        ServiceSettings,
        FollowSettings,
        LogSettings,
        RetentionSettings,
        ClusterSettings,
        DeploymentSettings,
        ClientSettings,
    )


def with_all_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables with the secrets of all settings, MLflow's and boto3's among them, in the place of the files' names.

    Raises:
        SettingsError: As `with_secrets`.
    """
    return with_secrets(environment, *all_settings())


def refuse_unknown(environment: Mapping[str, str] | None = None) -> None:
    """Refuse a variable with our prefix that no setting knows.

    Raises:
        SettingsError: Such a variable is set; the message names the closest known one.
    """
    known = {variable_of(group, name) for group in all_settings() for name in group.model_fields}
    known |= {name + FILE for group in all_settings() for name, _ in secret_variables(group)}
    for variable in sorted(environment if environment is not None else os.environ):
        if variable.startswith(PREFIX) and variable not in known:
            close = difflib.get_close_matches(variable, known, n=1)
            instead = f"did you mean {close[0]}?" if close else "docs/settings.md lists the settings"
            raise SettingsError(f"{variable} is not a setting of passerelle; {instead}", hint=f"unset {variable}")
