"""What probes look at, in a folder where nothing is set up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from passerelle.client_settings import ClientSettings
from passerelle.doctor.diagnosis import Surroundings
from passerelle.settings import MlflowSettings, S3Settings, SigningSettings, StateSettings, StoreSettings


def surroundings(folder: Path, server: str | None = None, **given: Any) -> Surroundings:
    """Return what holds in an empty folder, but for what is given."""
    settings = MlflowSettings.read({}, tracking_uri=server, timeout_s=5.0) if server else None
    plain = {
        "environment": {},
        "state": StateSettings.read({}, state_dir=folder / "state"),
        "store": StoreSettings.read({}, bentoml_home=folder / "bentoml"),
        "s3": S3Settings.read({}),
        "server": settings,
        "signing": SigningSettings.read({}),
        "client": ClientSettings.read({}),
        "keys_file": folder / "keys.json",
        "project": folder,
    }
    return Surroundings(**{**plain, **given})
