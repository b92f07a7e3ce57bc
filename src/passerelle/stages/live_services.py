"""What running services say of a candidate: their counts added up, and whether one has backed out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import requests

from passerelle.errors import OutsideError
from passerelle.model.ledger_entry import Entry
from passerelle.monitoring.live_comparison import LiveComparison, broken_limits, compared, counts_of
from passerelle.rollout.service_state import running_service
from passerelle.stages.context import Context

_TIMEOUT_S = 5
_LONGEST_SHOWN = 300


@dataclass(frozen=True)
class LiveReport:
    """What the services that were reached counted.

    Attributes:
        services: Addresses of those that answered.
        silent: Addresses of those that did not give their metrics.
        without: Addresses of those that follow no candidate.
        comparison: Over all of them; None where none answered.
        broken: The limits that the candidate breaks by these counts.
        backed_out: Why a service sends it no requests any longer; empty where none stopped.
    """

    services: tuple[str, ...]
    silent: tuple[str, ...]
    comparison: LiveComparison | None = None
    broken: tuple[str, ...] = ()
    backed_out: str = ""
    without: tuple[str, ...] = ()


def compare_live(context: Context, entry: Entry, addresses: Sequence[str] = ()) -> LiveReport:
    """Return how the candidate of this entry compares, by the services at these addresses.

    Args:
        addresses: By default the one that the settings name, else the one that `deploy` started.
    """
    texts: dict[str, str] = {}
    silent, reasons, without = [], [], []
    for address in addresses or _default(context):
        text, reason = _metrics_of(context, address.rstrip("/"), entry)
        if text is None:
            silent.append(address)
        else:
            texts[address] = text
            reasons += [reason] if reason else []
            without += [address] if reason is None else []
    if not texts:
        return LiveReport((), tuple(silent))
    counts, limits = counts_of(entry.number, texts.values()), dict(entry.candidate.limits) if entry.candidate else {}
    if entry.candidate is not None and entry.candidate.mode == "shadow":
        limits.pop("max_latency_ratio", None)
    return LiveReport(
        tuple(texts), tuple(silent), compared(counts), broken_limits(counts, limits), "; ".join(dict.fromkeys(reasons)), tuple(without)
    )


def no_service(live: LiveReport | None) -> OutsideError:
    """Return the error for a candidate that no service could be asked about."""
    named = ", ".join(live.silent) if live else ""
    what = f"the services at {named} do not give their metrics" if named else "no service runs here that both could be compared by"
    return OutsideError(what, hint="passerelle status\npasserelle rollout --promote --address URL")


def _default(context: Context) -> tuple[str, ...]:
    running = running_service(context.state.state_dir)
    address = context.client.service_address or (running.address if running else None)
    return (address,) if address else ()


def _metrics_of(context: Context, address: str, entry: Entry) -> tuple[str | None, str | None]:
    """Return the text of a service's metrics, None where it gives none; and why it has backed out, None where it follows no candidate."""
    key = context.client.api_key
    headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
    try:
        answer = requests.get(f"{address}/metrics", headers=headers, timeout=_TIMEOUT_S)
        answer.raise_for_status()
        candidate = requests.get(f"{address}/readyz", timeout=_TIMEOUT_S).json().get("candidate")
        if candidate is None:
            return answer.text, None
        reason = str(candidate["backed_out"]) if candidate.get("entry") == entry.number and candidate.get("backed_out") else ""
    except (requests.RequestException, ValueError, AttributeError):
        return None, ""
    # Shown on a terminal: plain characters only.
    return answer.text, "".join(filter(str.isprintable, reason))[:_LONGEST_SHOWN]
