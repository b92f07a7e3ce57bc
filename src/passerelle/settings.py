"""The settings, one frozen class per outside system, built by callers and never at import."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from passerelle.errors import SettingsError
from passerelle.secret_variables import with_secrets

PREFIX = "PASSERELLE_"
#: The variables that settings are read from instead of the environment of this process.
_GIVEN: ContextVar[Mapping[str, str] | None] = ContextVar("given_environment", default=None)


@contextmanager
def reading_from(environment: Mapping[str, str] | None) -> Iterator[None]:
    """Let all settings that are read inside come from these variables, and from none of this process; None is this process's own."""
    token = _GIVEN.set(environment)
    try:
        yield
    finally:
        _GIVEN.reset(token)


class Settings(BaseSettings):
    """A frozen group of settings read from the environment."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", populate_by_name=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the variables that `read` was given stand in for those of this process, and secrets for the files that hold them."""
        given = _GIVEN.get()
        if isinstance(env_settings, EnvSettingsSource):
            variables = with_secrets(os.environ if given is None else given, settings_cls)
            env_settings.env_vars = {name.lower(): value for name, value in variables.items()}
        return init_settings, env_settings

    @classmethod
    def read(cls, environment: Mapping[str, str] | None = None, /, **given: Any) -> Self:
        """Return the settings from the environment, overridden by what is given.

        Args:
            environment: Variables to read in place of those of this process.

        Raises:
            SettingsError: A value has the wrong type or range, or a secret's file cannot be used; names the variable, never the value.
        """
        try:
            with reading_from(environment if environment is not None else _GIVEN.get()):
                return cls(**{name: value for name, value in given.items() if value is not None})
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            name = str(first["loc"][0]) if first["loc"] else cls.__name__
            raise SettingsError(
                f"the setting {variable_of(cls, name)} is not usable: {first['msg']}; docs/settings.md lists the values",
                hint=f"unset {variable_of(cls, name)}",
            ) from None


class StateSettings(Settings):
    """The folders of passerelle."""

    state_dir: Path = Field(default=Path(".passerelle"), description="Folder of the embedded platform, the BentoML store and the logs.")
    environment: str = Field(
        default="development",
        pattern="^(development|production)$",
        description="`production` refuses forced promotions, versions that no promotion put there, and pickles that were trusted in"
        " development.",
    )
    language: Literal["fr", "en"] = Field(default="fr", description="Of the pages of the gate and of `drift`; else the project's.")


class MlflowSettings(Settings):
    """The MLflow server, embedded or any other."""

    tracking_uri: str = Field(
        validation_alias=AliasChoices("tracking_uri", "PASSERELLE_TRACKING_URI", "MLFLOW_TRACKING_URI"),
        description="Address of the MLflow server.",
    )
    experiment: str = Field(default="classification", description="Experiment that the candidates' runs go to.")
    registered_model: str = Field(default="classification", description="Registered model that the best candidate becomes a version of.")
    alias: str = Field(default="production", description="Alias that decides which version is in production.")
    timeout_s: float = Field(
        default=10.0,
        gt=0,
        validation_alias=AliasChoices("timeout_s", "PASSERELLE_MLFLOW_TIMEOUT_S"),
        description="Longest wait for one answer of MLflow, in seconds.",
    )


class S3Settings(Settings):
    """The S3 that holds the artifacts: SeaweedFS, MinIO, AWS or another."""

    endpoint_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices(
            "endpoint_url", "PASSERELLE_S3_ENDPOINT_URL", "MLFLOW_S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"
        ),
        description="Address of the S3 server; none for AWS itself.",
    )
    access_key_id: str | None = Field(
        default=None,
        validation_alias=AliasChoices("access_key_id", "PASSERELLE_S3_ACCESS_KEY_ID", "AWS_ACCESS_KEY_ID"),
        description="Access key.",
    )
    secret_access_key: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("secret_access_key", "PASSERELLE_S3_SECRET_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY"),
        description="Secret key.",
    )
    region: str = Field(
        default="us-east-1", validation_alias=AliasChoices("region", "PASSERELLE_S3_REGION", "AWS_DEFAULT_REGION"), description="Region."
    )
    bucket: str = Field(
        default="passerelle",
        validation_alias=AliasChoices("bucket", "PASSERELLE_S3_BUCKET"),
        description="Bucket of the artifacts and of the ledger.",
    )

    def variables(self) -> dict[str, str]:
        """Return the variables by which MLflow and boto3 reach this S3."""
        values = {
            "MLFLOW_S3_ENDPOINT_URL": self.endpoint_url,
            "AWS_ENDPOINT_URL_S3": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key.get_secret_value() if self.secret_access_key else None,
            "AWS_DEFAULT_REGION": self.region,
        }
        return {name: value for name, value in values.items() if value is not None}


class StoreSettings(Settings):
    """The BentoML store."""

    bentoml_home: Path | None = Field(
        default=None,
        validation_alias=AliasChoices("bentoml_home", "PASSERELLE_BENTOML_HOME", "BENTOML_HOME"),
        description="Folder of the BentoML store; by default `bentoml` in the state folder.",
    )


class SigningSettings(Settings):
    """The keys that models and the ledger are signed and verified with."""

    signing_key: Path | None = Field(
        default=None, description="Private key, EC in PEM, that models and the ledger's entries are signed with; none leaves them unsigned."
    )
    signing_certificate: Path | None = Field(
        default=None,
        description="Certificate of that key in PEM, followed by those between it and a root; the signature then holds them.",
    )
    signing_key_password: SecretStr | None = Field(default=None, description="Password of that key.")
    verify_key: Path | None = Field(
        default=None,
        description="Public key or root certificate, or folder of them, that models and the ledger are verified with.",
    )
    verify: str = Field(
        default="auto",
        pattern="^(auto|required|off)$",
        description="Whether a signature is required: `auto` as soon as a key is set, `required` always, `off` never.",
    )

    @property
    def required(self) -> bool:
        """Whether a model without a good signature is refused."""
        return self.verify == "required" or (self.verify == "auto" and (self.verify_key or self.signing_key) is not None)


class LoadingSettings(Settings):
    """What may be loaded from a model's file, by the operator's list and not by the one in the file."""

    trusted_types: str = Field(
        default="sklearn,numpy,scipy",
        description="Packages whose classes a skops file may hold, and full names of single types or functions, with commas between.",
    )
    trust_pickle: bool = Field(
        default=False, description="Load pickles, which can run any code; for development, refused where the environment is `production`."
    )
    adopted_pickles: Literal["refused", "signed", "any"] = Field(
        default="refused",
        description="Which adopted models may be pickles, read in a process of their own alone: none, those with a verified signature, "
        "or any; `any` is refused where the environment is `production`.",
    )
    environments_dir: Path = Field(
        default=Path("~/.cache/passerelle/environments"),
        description="Folder of the environments of adopted models, one a set of requirements.",
    )
    environments_max_gib: float = Field(
        default=20.0, gt=0, description="Most room of these environments together, in GiB; those not used for longest are removed first."
    )
    model_python: Path | None = Field(
        default=None, description="Interpreter of the one environment that is there, as in the image of an adopted model; set by the image."
    )
    model_start_s: float = Field(default=180.0, gt=0, description="Longest wait for an adopted model's process to read it, in seconds.")
    model_answer_s: float = Field(
        default=30.0, gt=0, description="Longest wait for one answer of that process, in seconds; it is then ended and started anew, once."
    )
    model_sandbox: Literal["auto", "required", "off"] = Field(
        default="auto",
        description="Whether the kernel keeps the process of an adopted model from other files, from the network and from other processes: "
        "`auto` where it can, `required` always, `off` where the model's own container does.",
    )
    model_memory_mib: int = Field(
        default=0, ge=0, description="Most memory that the process of an adopted model may take, in MiB; 0 for no limit of its own."
    )


class ServiceSettings(Settings):
    """What the running service accepts and how it answers; read inside the bento."""

    max_body_bytes: int = Field(
        default=1_048_576, gt=0, description="Largest request body, in bytes; a larger one gets 413 before it is read."
    )
    max_text_characters: int = Field(default=20_000, gt=0, description="Longest text of one field, in characters; a longer one gets 422.")
    max_records: int = Field(default=1_000, gt=0, description="Most records of one batch request; more get 422.")
    max_batch_characters: int = Field(
        default=1_048_576,
        gt=0,
        description="Most characters of all texts of one batch request together, decomposed (Unicode NFKD); more get 422.",
    )
    max_binary_bytes: int = Field(default=524_288, gt=0, description="Longest binary value of one field, in bytes; a longer one gets 422.")
    max_array_items: int = Field(
        default=50_000, gt=0, description="Most items of one array, and about the most of all arrays of one request together; more get 422."
    )
    extra_fields: Literal["refuse", "ignore"] = Field(
        default="refuse", description="Whether a field that is not part of the record gets 422, or is left out."
    )
    review_threshold: float = Field(
        default=0.5, ge=0, le=1, description="A label with a probability under this is marked for a person to look at."
    )
    workers: int = Field(default=1, ge=1, description="Processes that answer requests.")
    max_in_flight: int = Field(
        default=64,
        gt=0,
        description="Most requests of one worker that wait for the model; an eighth of it may be batches. More get 503.",
    )
    body_timeout_s: float = Field(default=10.0, gt=0, description="Longest wait for a body, in seconds; a slower one gets 408.")
    max_head_bytes: int = Field(
        default=16_384,
        ge=1_024,
        description="Largest request line with headers, in bytes; a larger one gets 431, and 100 headers are the most.",
    )
    head_timeout_s: float = Field(
        default=10.0, gt=0, description="Longest wait for the request line and the headers, in seconds; slower ones get 408."
    )
    model_timeout_s: float = Field(default=30.0, gt=0, description="Longest wait for the model, in seconds; a slower one gives 504.")
    auth: str = Field(
        default="auto",
        pattern="^(auto|required|off)$",
        description="Whether API keys are needed: `auto` for everything that does not come in on loopback, `required` always, `off` never.",
    )
    keys_file: Path = Field(default=Path(".passerelle/keys.json"), description="Where `passerelle keys` keeps the hashes of the API keys.")
    rate_limit: str = Field(default="", description="Most requests of one key, such as `600/minute`; empty for none.")
    trusted_proxies: str = Field(default="", description="Proxies whose `X-Forwarded-For` counts: addresses, networks, or `unix`.")
    allowed_hosts: str = Field(
        default="",
        description="Host names, beside `localhost`, that requests without a key on loopback may be for; with commas between.",
    )
    metrics_public: bool = Field(default=False, description="Whether `/metrics` is answered without a key away from loopback.")
    doors: str = Field(
        default="",
        pattern="^((v1|v2|invocations)(,(v1|v2|invocations))*)?$",
        description="Protocols of other servers that are answered too, with commas between: `v2` is the Open Inference Protocol,"
        " `v1` KServe's older one, `invocations` MLflow's; empty for none. [Doors](doors.md) says more.",
    )
    otlp_endpoint: str = Field(
        default="",
        pattern="^(https?://.+)?$",
        description="Address of an OpenTelemetry collector (OTLP over HTTP) that gets a span a request; empty for none.",
    )
    access_log: bool = Field(default=True, description="One JSON line a request on stdout, without any text of a record.")


def variable_of(settings: type[Settings], field: str) -> str:
    """Return the environment variable's name of a field."""
    info = settings.model_fields.get(field)
    if info is not None and isinstance(info.validation_alias, AliasChoices):
        return next((str(c) for c in info.validation_alias.choices if str(c).startswith(PREFIX)), field)
    return field if field.isupper() else PREFIX + field.upper()
