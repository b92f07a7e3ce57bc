"""Whether and how a running service follows the registry; read inside the bento."""

from __future__ import annotations

from pathlib import Path

from pydantic import AliasChoices, Field, SecretStr

from passerelle.settings import Settings


class FollowSettings(Settings):
    """Following the registry: the running service answers with the version that an alias points to."""

    follow: str = Field(
        default="",
        description="Alias that the service follows, such as `production`; or pairs `MODEL@ALIAS`, with commas between. Empty: none.",
    )
    follow_ledger: str = Field(
        default="on",
        pattern="^(on|off)$",
        description="Whether only versions are served that the ledger put into production; `off` for registries without a ledger.",
    )
    follow_candidate: bool = Field(
        default=False,
        description="Whether the service also follows the alias `candidate`, for a version that answers part of the requests.",
    )
    follow_interval_s: float = Field(default=2.0, ge=0.1, le=3_600, description="Time between two polls of the alias, in seconds, ± 10 %.")
    follow_dir: Path = Field(default=Path(".passerelle/follow"), description="Folder that downloaded versions are kept in.")
    follow_max_bytes: int = Field(default=2_147_483_648, gt=0, description="Largest version that is downloaded, in bytes.")
    follow_keep_s: float = Field(
        default=600.0, ge=0, description="Time for which the former version stays loaded after a swap, so that a rollback is immediate."
    )
    follow_start_s: float = Field(
        default=10.0,
        ge=0,
        description="Longest time that a service which starts waits for the registry before it answers with what it has.",
    )
    follow_most_cpu_ms: float = Field(
        default=100.0, gt=0, description="Most processor time of one prediction, in milliseconds; a slower version is refused."
    )
    follow_webhook_secret_file: Path | None = Field(
        default=None, description="File with the secret that MLflow signs its webhook with; none leaves polling alone on."
    )
    follow_webhook: bool = Field(
        default=False,
        description="Whether `deploy` makes a webhook in MLflow that lets the service poll at once, and whether the platform lets MLflow"
        " call it: an address on plain HTTP that is not public.",
    )
    follow_tracking_uri: str | None = Field(
        default=None,
        validation_alias=AliasChoices("follow_tracking_uri", "PASSERELLE_FOLLOW_TRACKING_URI", "MLFLOW_TRACKING_URI"),
        description="Address of the MLflow server that is followed.",
    )
    follow_username: str | None = Field(
        default=None,
        validation_alias=AliasChoices("follow_username", "PASSERELLE_FOLLOW_USERNAME", "MLFLOW_TRACKING_USERNAME"),
        description="User that may read the registry; reading is all that following needs.",
    )
    follow_password: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("follow_password", "PASSERELLE_FOLLOW_PASSWORD", "MLFLOW_TRACKING_PASSWORD"),
        description="Password of that user.",
    )
    follow_password_file: Path | None = Field(default=None, description="File with the password of that user.")
    follow_token: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("follow_token", "PASSERELLE_FOLLOW_TOKEN", "MLFLOW_TRACKING_TOKEN"),
        description="Bearer token, in place of user and password.",
    )
    follow_ca_file: Path | None = Field(
        default=None,
        validation_alias=AliasChoices("follow_ca_file", "PASSERELLE_FOLLOW_CA_FILE", "MLFLOW_TRACKING_SERVER_CERT_PATH"),
        description="Certificate of the authority that MLflow's own certificate comes from.",
    )
    follow_client_cert_file: Path | None = Field(
        default=None,
        validation_alias=AliasChoices("follow_client_cert_file", "PASSERELLE_FOLLOW_CLIENT_CERT_FILE", "MLFLOW_TRACKING_CLIENT_CERT_PATH"),
        description="Certificate and key that the service shows MLflow.",
    )
