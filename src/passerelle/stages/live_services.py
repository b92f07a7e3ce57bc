"""What running services say of a candidate: their counts added up, and whether one has backed out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from passerelle.errors import OutsideError, PasserelleError
from passerelle.model.ledger_entry import Entry
from passerelle.monitoring.live_comparison import LiveComparison, broken_limits, compared, counts_of
from passerelle.rollout.cluster import find_cluster
from passerelle.rollout.replicas import Replica, at_addresses, of_cluster, of_stack
from passerelle.rollout.service_state import running_service
from passerelle.rollout.stack import find_stack
from passerelle.stages.context import Context
from passerelle.stages.rollout_options import RolloutOptions

_LONGEST_SHOWN = 300


@dataclass(frozen=True)
class LiveReport:
    """What the services that were reached counted.

    Attributes:
        services: Address, container or pod of those that answered.
        silent: Of those that did not give their metrics.
        without: Of those that follow no candidate.
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


def compare_live(entry: Entry, replicas: Sequence[Replica]) -> LiveReport:
    """Return how the candidate of this entry compares, by what these replicas counted."""
    texts: dict[str, str] = {}
    silent, reasons, without = [], [], []
    for replica in replicas:
        report = replica.read()
        if report.metrics is None or report.readiness is None:
            silent.append(replica.where)
            continue
        texts[replica.where] = report.metrics
        reason = _backed_out(report.readiness, entry)
        reasons += [reason] if reason else []
        without += [replica.where] if reason is None else []
    if not texts:
        return LiveReport((), tuple(silent))
    counts, limits = counts_of(entry.number, texts.values()), dict(entry.candidate.limits) if entry.candidate else {}
    if entry.candidate is not None and entry.candidate.mode == "shadow":
        limits.pop("max_latency_ratio", None)
    return LiveReport(
        tuple(texts), tuple(silent), compared(counts), broken_limits(counts, limits), "; ".join(dict.fromkeys(reasons)), tuple(without)
    )


def replicas_of(context: Context, options: RolloutOptions, project: Path) -> tuple[Replica, ...]:
    """Return the replicas to compare by: those at the addresses that were named, else those that are found.

    Behind the address of the settings may be the proxy of the stack, which answers for one replica at a time: then the engine names them.

    Raises:
        OutsideError: The engine or the cluster does not answer.
        NotFoundError: The project holds no stack.
        UsageError: There is no such overlay.
    """
    key = context.client.api_key.get_secret_value() if context.client.api_key else None
    if options.target == "kubernetes":
        return of_cluster(find_cluster(project, options.overlay or "development"), key)
    if options.target == "compose":
        stack = find_stack(project)
        stack.check()
        return of_stack(stack)
    if options.addresses:
        return at_addresses(options.addresses, key)
    running = running_service(context.state.state_dir, context.registered_model)
    address = context.client.service_address or (running.address if running else None)
    behind = _behind_the_proxy(project, context.client.service_address)
    return behind or at_addresses((address,) if address else (), key)


def _behind_the_proxy(project: Path, address: str | None) -> tuple[Replica, ...]:
    """Return the stack's replicas where this is the address of its proxy; else none."""
    if address is None:
        return ()
    try:
        stack = find_stack(project)
        return of_stack(stack) if stack.service_address() == address.rstrip("/") else ()
    except (PasserelleError, OSError):
        return ()


def no_service(live: LiveReport | None) -> OutsideError:
    """Return the error for a candidate that no service could be asked about."""
    named = ", ".join(live.silent) if live else ""
    what = f"the services {named} do not give their metrics" if named else "no service runs here that both could be compared by"
    return OutsideError(what, hint="passerelle status\npasserelle rollout --promote --address URL")


def _backed_out(readiness: Mapping[str, object], entry: Entry) -> str | None:
    """Return why a service has backed out; empty where it has not, None where it follows no candidate."""
    candidate = readiness.get("candidate")
    if not isinstance(candidate, Mapping):
        return None
    reason = str(candidate["backed_out"]) if candidate.get("entry") == entry.number and candidate.get("backed_out") else ""
    # Shown on a terminal: plain characters only.
    return "".join(filter(str.isprintable, reason))[:_LONGEST_SHOWN]
