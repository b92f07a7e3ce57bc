"""What a running service answered so far."""

from __future__ import annotations

from dataclasses import replace

import requests

from passerelle.errors import NotFoundError, OutsideError
from passerelle.monitoring.drift.last_result import MONITORING, read_last
from passerelle.monitoring.figures import Figures, read_figures
from passerelle.rollout.service_state import running_service
from passerelle.stages.context import Context, stage


@stage
def run(context: Context, address: str | None = None) -> Figures:
    """Return what the service counted: requests, latency, classes, share to review; and what `drift` found last.

    Args:
        address: Of the service; by default the one that the settings name, else the one that `deploy` started.

    Raises:
        NotFoundError: No service runs here, and none is named.
        OutsideError: The service does not give its metrics.
    """
    where = _address(context, address)
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
    return replace(read_figures(answer.text, address=where), drift=read_last(context.state.state_dir / MONITORING))


def _address(context: Context, address: str | None) -> str:
    chosen = address or context.client.service_address
    if chosen is not None:
        return chosen.rstrip("/")
    running = running_service(context.state.state_dir)
    if running is None:
        raise NotFoundError("no service runs here", hint="passerelle deploy\npasserelle monitor --address URL")
    return running.address
