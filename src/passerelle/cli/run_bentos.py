"""What the commands about bentos and services need before and after their stage."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from passerelle.bentos.build import BuiltBento
from passerelle.bentos.build import build as build_stage
from passerelle.bentos.store import Store, latest_bento, latest_bento_model
from passerelle.cli.connect import bento_store, project_folder, read_state
from passerelle.cli.output import Output
from passerelle.errors import NotFoundError, OutsideError
from passerelle.monitoring.figures import Figures, read_figures
from passerelle.names import BentoTag
from passerelle.platform.embedded import stopped_by_signal
from passerelle.rollout import local
from passerelle.settings import ClientSettings, ServiceSettings, SigningSettings, StateSettings, StoreSettings

if TYPE_CHECKING:
    from passerelle.rollout.local import Deployment


@dataclass(frozen=True)
class Stopped:
    """The service that `deploy --stop` ended, or None when none ran."""

    address: str | None


def chosen_bento(store: StoreSettings, bento_tag: str | None) -> BentoTag:
    """Return the bento that was named, or the one built last.

    Raises:
        NotFoundError: The store holds no bento of ours.
    """
    if bento_tag is not None:
        return BentoTag.parse(bento_tag)
    latest = latest_bento(store)
    if latest is None:
        raise NotFoundError("the BentoML store holds no bento", hint="passerelle build")
    return latest


def build(bento_model_tag: str | None, project: Path, *, dry_run: bool) -> BuiltBento:
    """Build a bento of the model that was named, or of the one imported last."""
    store = bento_store(read_state())
    chosen = BentoTag.parse(bento_model_tag) if bento_model_tag else latest_bento_model(store)
    if chosen is None:
        raise NotFoundError("the BentoML store holds no model", hint="passerelle import")
    return build_stage(store, bento_model_tag=chosen, project=project_folder(project), signing=SigningSettings.read(), dry_run=dry_run)


def description(bento_model_tag: str | None) -> dict[str, Any]:
    """Return the OpenAPI description of the service over the model that was named, or over the one imported last."""
    from passerelle.serving.openapi import openapi  # noqa: PLC0415
    from passerelle.serving.runtime import Runtime  # noqa: PLC0415

    store = bento_store(read_state())
    chosen = BentoTag.parse(bento_model_tag) if bento_model_tag else latest_bento_model(store)
    model = Store(store).model(chosen) if chosen else None
    if model is None:
        raise NotFoundError("the BentoML store holds no such model", hint="passerelle import; bentoml models list")
    runtime = Runtime(Path(model.path), ServiceSettings.read())
    return openapi(runtime.contract, runtime.description)


def deploy(bento_tag: str | None, port: int, *, stop: bool, dry_run: bool) -> Deployment | Stopped:
    """Start the bento beside this command, or end the one that runs."""
    state = read_state()
    if stop:
        running = local.running_service(state.state_dir)
        if running is not None and not dry_run:
            local.stop(state.state_dir)
        return Stopped(running.address if running else None)
    store = bento_store(state)
    return local.deploy(chosen_bento(store, bento_tag), settings=store, state_dir=state.state_dir, port=port or None, dry_run=dry_run)


def serve(output: Output, bento_tag: str | None, port: int) -> None:
    """Answer in this terminal until a signal ends it."""
    state = read_state()
    store = bento_store(state)
    tag = chosen_bento(store, bento_tag)
    with (
        stopped_by_signal() as asked,
        local.attached(tag, settings=store, state_dir=state.state_dir, port=port or None) as (child, deployment),
    ):
        output.line(f"{tag} answers on {deployment.address} (Ctrl-C ends it)")
        output.result(deployment)
        sys.stdout.flush()
        while not asked.wait(0.25):
            if not child.alive():
                raise OutsideError(f"{child.name} ended by itself:\n{child.log_tail()}", hint=f"read {child.log_path}")


def address_of(state: StateSettings, address: str | None) -> str:
    """Return the address that was given, or that of the service which deploy started.

    Raises:
        NotFoundError: No service runs.
    """
    address = address or ClientSettings.read().service_address
    if address is not None:
        return address.rstrip("/")
    running = local.running_service(state.state_dir)
    if running is None:
        raise NotFoundError("no service runs here", hint="passerelle deploy, or name one with --address")
    return running.address


def figures(address: str | None) -> Figures:
    """Return what the service counted so far.

    Raises:
        OutsideError: The service does not answer.
    """
    where = address_of(read_state(), address)
    key = ClientSettings.read().api_key
    headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
    try:
        answer = requests.get(f"{where}/metrics", headers=headers, timeout=5)
        answer.raise_for_status()
    except requests.RequestException as error:
        hint = "passerelle status; for the stack, its Prometheus and Grafana count all replicas: docs/10-monitor.md"
        raise OutsideError(f"the service at {where} does not give its metrics", hint=hint) from error
    return read_figures(answer.text, address=where)
