"""The webhook by which MLflow lets a service poll at once: made by `deploy`, and never a reason for it to fail."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from passerelle.errors import PasserelleError
from passerelle.follow_settings import FollowSettings
from passerelle.platform.private_file import private_key
from passerelle.rollout.following import Following, following_of
from passerelle.serving.following.webhook import read_secret
from passerelle.stages.context import Context

PATH = "/follow/webhook"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def wants_webhook(settings: FollowSettings) -> bool:
    """Return whether the service that is deployed follows, and is to be called by MLflow."""
    return bool(settings.follow) and settings.follow_webhook


def secret_file(context: Context, settings: FollowSettings) -> Path:
    """Return the file with the secret of the service on this machine: the one that was named, or else one of our own, made on first use."""
    if settings.follow_webhook_secret_file is not None:
        return settings.follow_webhook_secret_file.resolve()
    path = context.state.state_dir.resolve() / "webhook_secret"
    path.parent.mkdir(parents=True, exist_ok=True)
    private_key(path)
    return path


def here(context: Context, settings: FollowSettings, address: str, registered_model: str) -> Following | None:
    """Let MLflow call the service of a registered model on this machine, and return what it follows.

    Args:
        address: Of the service, on loopback.
    """
    found = following_of(settings)
    if found is None or not found.webhook:
        return found
    server = context.server.tracking_uri if context.server else None
    if urlsplit(server or "").hostname not in _LOOPBACK:
        problem = f"MLflow at {server} cannot call {address}, which is an address of this machine alone"
        return following_of(settings, problem=problem if server else "no MLflow server is named")
    return created(context, found, name_here(context, registered_model), [address + PATH], secret_file(context, settings))


def created(context: Context, found: Following, name: str, urls: Sequence[str], secret: Path) -> Following:
    """Make or replace the webhooks, and return what is followed: without a webhook where MLflow refuses or the secret cannot be read."""
    from passerelle.registry.webhooks import keep_webhooks  # noqa: PLC0415 - MLflow takes seconds to import

    try:
        keep_webhooks(context.registry, name, urls, read_secret(secret).decode(errors="replace"))
    except PasserelleError as error:
        return replace(found, webhook=False, problem=error.message, next_command=error.hint)
    return found


def removed(context: Context, settings: FollowSettings, registered_model: str) -> None:
    """Delete the webhook of the service of a registered model on this machine, which has ended; MLflow may be off by now."""
    from passerelle.registry.webhooks import keep_webhooks  # noqa: PLC0415 - as above

    if wants_webhook(settings):
        try:
            keep_webhooks(context.registry, name_here(context, registered_model), [], "")
        except PasserelleError:
            return


def name_here(context: Context, registered_model: str) -> str:
    """Return the webhook's name: of this machine, this state folder and this model, as others deploy with the same MLflow."""
    place = f"{socket.gethostname()}:{context.state.state_dir.resolve()}:{registered_model}"
    return f"passerelle-{hashlib.sha256(place.encode()).hexdigest()[:16]}"
