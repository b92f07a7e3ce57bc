"""What a running service answered so far."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import requests

from passerelle.errors import NotFoundError, OutsideError
from passerelle.log_settings import LOG_FOLDER, LogSettings
from passerelle.monitoring.drift.last_result import MONITORING, read_last
from passerelle.monitoring.figures import Figures, read_figures
from passerelle.proxy_variables import past_proxy, through_proxy
from passerelle.retention_settings import RetentionSettings
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
        elsewhere = through_proxy(where) or "; those of the stack are in its Prometheus and Grafana (docs/10-monitor.md)"
        message = f"the service at {where} does not give its metrics{elsewhere}"
        raise OutsideError(message, hint=past_proxy(where, "passerelle status")) from error
    last = read_last(context.state.state_dir / MONITORING, name)
    return replace(read_figures(answer.text, address=where), drift=last, day_is_over=last is not None or _day_is_over(context))


def _day_is_over(context: Context) -> bool:
    """Return whether the prediction log holds answers of a day before today; True also where its bucket does not say."""
    folder = LogSettings.read(context.environment).prediction_log or context.state.state_dir / LOG_FOLDER
    if not Path(folder).is_dir() and not RetentionSettings.read(context.environment).log_bucket:
        return False
    from passerelle.monitoring.prediction_log.partitions import logged_days  # noqa: PLC0415 - slow to import, and not for a service without a log
    from passerelle.stages.log_location import log_location  # noqa: PLC0415 - as above

    try:
        return any(day < datetime.now(UTC).date() for day in logged_days(log_location(context).place))
    except OutsideError:
        return True


def _service(context: Context, address: str | None, registered_model: str | None) -> tuple[str, str | None]:
    """Return the address of the service to ask, and whose it is where that is known."""
    chosen = address or context.client.service_address
    if chosen is not None:
        return chosen.rstrip("/"), registered_model
    running = chosen_service(context.state.state_dir, registered_model)
    if running is None:
        raise NotFoundError(f"no service of {registered_model} runs here" if registered_model else "no service runs here", hint=NO_SERVICE)
    return running.address, running.registered_model
