"""What a running service answered so far."""

from __future__ import annotations

from dataclasses import replace

import requests

from passerelle.errors import NotFoundError, OutsideError
from passerelle.monitoring.drift.last_result import MONITORING, read_last
from passerelle.monitoring.figures import Figures, read_figures
from passerelle.rollout.service_state import NO_SERVICE, chosen_service
from passerelle.stages.context import Context, stage


@stage
def run(context: Context, address: str | None = None, *, registered_model: str | None = None) -> Figures:
    """Return what the service counted: requests, latency, classes, share to review; and what `drift` found last.

    Args:
        address: Of the service; by default the one that the settings name, else the one that runs here.
        registered_model: Whose service that is; by default the only one that is served here.

    Raises:
        NotFoundError: No service runs here, and none is named.
        SeveralModelsError: Several models are served here, and none was named.
        OutsideError: The service does not give its metrics.
    """
    where, name = _service(context, address, registered_model)
    key = context.client.api_key
    headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
    try:
        answer = requests.get(f"{where}/metrics", headers=headers, timeout=5)
        answer.raise_for_status()
    except requests.RequestException as error:
        hint = "passerelle status"
        raise OutsideError(
            f"the service at {where} does not give its metrics; those of the stack are in its Prometheus and Grafana (docs/10-monitor.md)",
            hint=hint,
        ) from error
    return replace(read_figures(answer.text, address=where), drift=read_last(context.state.state_dir / MONITORING, name))


def _service(context: Context, address: str | None, registered_model: str | None) -> tuple[str, str | None]:
    """Return the address of the service to ask, and whose it is where that is known."""
    chosen = address or context.client.service_address
    if chosen is not None:
        return chosen.rstrip("/"), registered_model
    running = chosen_service(context.state.state_dir, registered_model)
    if running is None:
        raise NotFoundError(f"no service of {registered_model} runs here" if registered_model else "no service runs here", hint=NO_SERVICE)
    return running.address, running.registered_model
