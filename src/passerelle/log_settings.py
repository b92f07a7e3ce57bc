"""What is recorded of each answer, and where; read inside the bento."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, SecretStr

from passerelle.errors import SettingsError
from passerelle.regular_file import read_regular_file
from passerelle.settings import Settings, StateSettings

#: Folder of the log in the state folder, where no setting names another.
LOG_FOLDER = "predictions"


class LogSettings(Settings):
    """The prediction log: one record an answer, in files of each worker."""

    prediction_log: str = Field(
        default="",
        description="Folder of the prediction log; empty for none. `deploy` and `up` set it, plain `bentoml serve` does not.",
    )
    log_text: str = Field(
        default="off",
        pattern="^(off|redacted|full)$",
        description="Whether the prediction log holds the records' texts: not at all, with personal data replaced, or as they were sent.",
    )
    log_text_reason: str = Field(
        default="", description="Why full texts are logged; without it `full` is refused where the environment is `production`."
    )
    log_column: str = Field(
        default="",
        description="Columns that are logged, with commas between; empty for the text of a model with one column. Texts follow `log_text`.",
    )
    log_digest_key: SecretStr | None = Field(
        default=None, description="Key of the digest of each record, by which feedback can prove which record was answered."
    )
    log_digest_key_file: Path | None = Field(
        default=None, description="File with that key; `deploy` and `up` make one where none is named."
    )
    log_file_bytes: int = Field(default=67_108_864, ge=1_024, description="Size at which a worker begins its next file, in bytes.")
    log_file_age_s: float = Field(default=3_600.0, ge=1, description="Age at which a worker begins its next file, in seconds.")
    log_queue: int = Field(default=10_000, ge=1, description="Most records of one worker that wait to be written; more are dropped.")
    log_max_bytes: int = Field(
        default=2_147_483_648,
        ge=1_024,
        description="Most bytes of files that were not collected yet; further records are dropped and counted until there is room.",
    )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are named."""
        return tuple(name.strip() for name in self.log_column.split(",") if name.strip())


def check_log(variables: Mapping[str, str] | None = None) -> None:
    """Check that production logs no full text without a reason, and that the key of the digests can be read.

    Args:
        variables: Of the service; by default those of this process.

    Raises:
        SettingsError: It logs them, or the key cannot be read.
    """
    settings, environment = LogSettings.read(variables), StateSettings.read(variables).environment
    if settings.prediction_log and settings.log_text == "full" and environment == "production" and not settings.log_text_reason.strip():
        raise SettingsError(
            "PASSERELLE_LOG_TEXT=full records what people wrote as they wrote it; production refuses it without PASSERELLE_LOG_TEXT_REASON",
            hint="export PASSERELLE_LOG_TEXT=redacted",
        )
    digest_key(settings)


def digest_key(settings: LogSettings) -> bytes:
    """Return the key of the records' digests; empty where there is none.

    Raises:
        SettingsError: Its file cannot be read.
    """
    if settings.log_digest_key is not None:
        return settings.log_digest_key.get_secret_value().encode()
    if settings.log_digest_key_file is None:
        return b""
    try:
        return read_regular_file(settings.log_digest_key_file).strip()
    except OSError as error:
        raise SettingsError(
            f"the key of the records' digests cannot be read: {settings.log_digest_key_file}: {error.strerror}",
            hint="unset PASSERELLE_LOG_DIGEST_KEY_FILE",
        ) from error
