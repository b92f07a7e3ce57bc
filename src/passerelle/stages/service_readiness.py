"""What a running service says of itself in /readyz: the version it answers with, and where following the registry stands."""

from __future__ import annotations

from dataclasses import dataclass

import requests

from passerelle.names import CANDIDATE_ALIAS

_FOLLOWS = ("alias", "state", "code", "message", "hint")
_LONGEST_SHOWN = 300
_TIMEOUT_S = 3


@dataclass(frozen=True)
class ServiceFollows:
    """Where following the registry stands, as a service says in /readyz.

    Attributes:
        state: `in_step`, or what keeps the service from the version that the alias points to.
        code: Short name of what is wrong; empty where nothing is.
        hint: The next command; each line is an alternative.
    """

    alias: str
    state: str
    code: str
    message: str
    hint: str


@dataclass(frozen=True)
class ServiceReadiness:
    """What a service says.

    Attributes:
        version: That it answers with; None where it is not ready.
        silent: Why no version is known.
        follows: None for a service that serves a pinned version.
        others: Further registered models that it follows.
        candidate: None for a service that follows none.
    """

    version: int | None = None
    silent: str | None = None
    follows: ServiceFollows | None = None
    others: tuple[ServiceFollows, ...] = ()
    candidate: ServiceFollows | None = None


def service_readiness(address: str) -> ServiceReadiness:
    """Return what the service at an address says in /readyz; a service that is not ready says where following stands too."""
    try:
        answer = requests.get(f"{address}/readyz", timeout=_TIMEOUT_S).json()
    except requests.exceptions.SSLError:
        return ServiceReadiness(silent="has a certificate that is not trusted here (REQUESTS_CA_BUNDLE names the authority's file)")
    except (requests.RequestException, ValueError):
        answer = None
    return parsed_readiness(answer)


def parsed_readiness(answer: object) -> ServiceReadiness:
    """Return what the content of /readyz says."""
    content = answer if isinstance(answer, dict) else {}
    version = str(content.get("model_version"))
    models = content.get("models")
    others = (_follows(each.get("following")) for each in models.values() if isinstance(each, dict)) if isinstance(models, dict) else ()
    return ServiceReadiness(
        version=int(version) if version.isdecimal() else None,
        silent=None if version.isdecimal() else "is not ready, or does not answer",
        follows=_follows(content.get("following")),
        others=tuple(other for other in others if other is not None),
        candidate=_candidate(content.get("candidate")),
    )


def _follows(answer: object) -> ServiceFollows | None:
    if not isinstance(answer, dict):
        return None
    return ServiceFollows(**{name: _plain(str(answer.get(name, ""))) for name in _FOLLOWS})


def _plain(text: str) -> str:
    """Return a text of another program as a terminal may show it: lines of plain characters."""
    return "\n".join("".join(filter(str.isprintable, line)) for line in text.split("\n"))[:_LONGEST_SHOWN]


def _candidate(answer: object) -> ServiceFollows | None:
    if not isinstance(answer, dict):
        return None
    backed_out = answer.get("backed_out")
    wrong = {"code": "backed_out", "message": backed_out, "hint": "passerelle rollout --status"} if backed_out else {}
    return _follows({**answer, **wrong, "alias": str(CANDIDATE_ALIAS)})
