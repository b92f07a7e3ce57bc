"""Which aliases of which registered models a service follows."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from passerelle.errors import SettingsError
from passerelle.follow_settings import FollowSettings
from passerelle.settings import StateSettings

_HINT = "export PASSERELLE_FOLLOW=production"


@dataclass(frozen=True)
class Target:
    """An alias of a registered model."""

    registered_model: str
    alias: str

    def folder(self, root: Path) -> Path:
        """Return where its downloaded versions are kept."""
        return root / quote(f"{self.registered_model}@{self.alias}", safe="@")

    def __str__(self) -> str:
        return f"{self.registered_model}@{self.alias}"


def targets(settings: FollowSettings, registered_model: str) -> tuple[Target, ...]:
    """Return what the settings say to follow; the first is what `/classify` answers with. Empty where the version is pinned.

    Args:
        registered_model: The one that the bento was built from.

    Raises:
        SettingsError: The list cannot be read, names a model twice or another one first, or the server's address is missing or no address,
            or a certificate cannot be read.
    """
    parts = [part.strip() for part in settings.follow.split(",")] if settings.follow.strip() else []
    found = []
    for part in parts:
        name, at, alias = part.rpartition("@")
        if not alias or (at and not name):
            raise SettingsError(f"PASSERELLE_FOLLOW names no alias in {part!r}", hint=_HINT)
        found.append(Target(name or registered_model, alias))
    names = [each.registered_model for each in found]
    if len(set(names)) < len(names):
        raise SettingsError("PASSERELLE_FOLLOW names a registered model twice", hint=_HINT)
    if found and names[0] != registered_model:
        message = f"PASSERELLE_FOLLOW begins with {names[0]}, and this bento was built from {registered_model}"
        raise SettingsError(message, hint=f"export PASSERELLE_FOLLOW={registered_model}@{found[0].alias}")
    if settings.follow_candidate and (not found or settings.follow_ledger == "off"):
        what = "is set to off" if found else "is not set"
        name = "PASSERELLE_FOLLOW_LEDGER" if found else "PASSERELLE_FOLLOW"
        message = f"PASSERELLE_FOLLOW_CANDIDATE is set, and {name} {what}: the ledger says what a candidate may do"
        raise SettingsError(message, hint="export PASSERELLE_FOLLOW_LEDGER=on" if found else _HINT)
    if found:
        _check_ledger(settings)
        _check_address(settings.follow_tracking_uri)
        _check_certificates(settings)
    return tuple(found)


def _check_ledger(settings: FollowSettings) -> None:
    """Check that in production only versions are followed that the ledger put there; raises SettingsError otherwise."""
    if settings.follow_ledger == "off" and StateSettings.read().environment == "production":
        message = "PASSERELLE_FOLLOW_LEDGER is off: in production only versions are served that the ledger put there"
        raise SettingsError(message, hint="export PASSERELLE_FOLLOW_LEDGER=on")


def _check_address(address: str | None) -> None:
    hint = "export MLFLOW_TRACKING_URI=http://HOST:5000"
    if address is None:
        raise SettingsError("PASSERELLE_FOLLOW is set, and MLFLOW_TRACKING_URI does not say which MLflow server to follow", hint=hint)
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError("MLFLOW_TRACKING_URI is not an address that begins with http:// or https://", hint=hint)


def _check_certificates(settings: FollowSettings) -> None:
    """Check that the certificates can be read: the files are there before the service starts, and stay as they are."""
    given = (
        ("MLFLOW_TRACKING_SERVER_CERT_PATH", settings.follow_ca_file, "authority.pem"),
        ("MLFLOW_TRACKING_CLIENT_CERT_PATH", settings.follow_client_cert_file, "client.pem"),
    )
    for name, path, example in given:
        if path is None:
            continue
        try:
            context = ssl.create_default_context()
            if path == settings.follow_ca_file:
                context.load_verify_locations(path)
            else:
                context.load_cert_chain(path)
        except OSError as error:
            why = "holds no certificate in PEM" if isinstance(error, ssl.SSLError) else error.strerror or type(error).__name__
            raise SettingsError(f"the file {path}, which {name} names, cannot be used: {why}", hint=f"export {name}={example}") from error
