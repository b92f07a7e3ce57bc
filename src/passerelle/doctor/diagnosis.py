"""What one probe says of one subject, and what it may look at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from passerelle.client_settings import ClientSettings
from passerelle.settings import MlflowSettings, S3Settings, SigningSettings, StateSettings, StoreSettings


class Health(StrEnum):
    """How a subject is."""

    FINE = "fine"
    WARNING = "warning"
    FAULT = "fault"
    NOT_TRIED = "not tried"
    NOT_USED = "not used"


@dataclass(frozen=True)
class Diagnosis:
    """What one probe says.

    Attributes:
        subject: What was looked at.
        message: One sentence, without any secret.
        hint: The command that mends it, as that of an error; None where there is none, or nothing to mend.
    """

    subject: str
    health: Health
    message: str
    hint: str | None = None


@dataclass(frozen=True)
class Surroundings:
    """What the probes look at.

    Attributes:
        environment: The variables of the commands.
        server: None where no MLflow server is named.
        embedded: Whether server and S3 are those of the embedded platform, whose one key may do everything.
        registered_models: Those that are known here.
        write_test: Whether objects may be written to the bucket, and removed again.
    """

    environment: Mapping[str, str] = field(repr=False)
    state: StateSettings
    store: StoreSettings
    s3: S3Settings
    server: MlflowSettings | None
    signing: SigningSettings
    client: ClientSettings
    keys_file: Path
    project: Path = Path()
    embedded: bool = False
    registered_models: tuple[str, ...] = ()
    write_test: bool = False

    @property
    def names_s3(self) -> bool:
        """Whether a setting says which S3 is meant; AWS itself needs keys, and no address."""
        return self.server is not None or self.s3.endpoint_url is not None or self.s3.access_key_id is not None


Probe = Callable[[Surroundings], Iterable[Diagnosis]]


def fine(subject: str, message: str) -> Diagnosis:
    """Return that nothing is wrong."""
    return Diagnosis(subject, Health.FINE, message)


def not_used(subject: str, message: str) -> Diagnosis:
    """Return that nothing here needs it."""
    return Diagnosis(subject, Health.NOT_USED, message)
