"""The services that run here, or the one that a setting names: ready, with the version in production, and open to this key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import requests

from passerelle.doctor.diagnosis import Diagnosis, Health, Surroundings, fine, not_used
from passerelle.doctor.mlflow_api import MlflowApi
from passerelle.errors import PasserelleError
from passerelle.proxy_variables import past_proxy, through_proxy
from passerelle.rollout.service_state import running_services

NAME = "service"
_TIMEOUT_S = 5.0
_LONGEST_SHOWN = 200


def probe(here: Surroundings) -> Iterator[Diagnosis]:
    """Say of each service whether it is ready, which version it answers with, and whether it takes the key that is set."""
    running = {service.address: name for name, service in running_services(here.state.state_dir).items()}
    if here.client.service_address is not None:
        own = here.server.registered_model if here.server else ""
        running.setdefault(here.client.service_address.rstrip("/"), own)
    if not running:
        yield not_used(NAME, "none was deployed here, and PASSERELLE_SERVICE_ADDRESS names none")
    for address, name in running.items():
        try:
            answer = requests.get(f"{address}/readyz", timeout=_TIMEOUT_S)
            content = answer.json()
        except (requests.RequestException, ValueError) as error:
            message = f"{address} does not answer at /readyz: {type(error).__name__}{through_proxy(address)}"
            yield Diagnosis(NAME, Health.FAULT, message, hint=past_proxy(address, "passerelle deploy"))
            continue
        yield _readiness(address, name, content if isinstance(content, dict) else {}, here)
        yield _key(address, here)


def _readiness(address: str, name: str, content: dict[str, Any], here: Surroundings) -> Diagnosis:
    served = str(content.get("model_version", ""))
    if not served.isdecimal():
        return Diagnosis(NAME, Health.FAULT, f"{address} is not ready", hint="passerelle status")
    follows = content.get("following")
    wrong = follows.get("message") if isinstance(follows, dict) and follows.get("state") != "in_step" else None
    if wrong:
        return Diagnosis(NAME, Health.FAULT, f"{address} does not follow: {_plain(wrong)}", hint="passerelle status")
    in_production = _in_production(name, here)
    if in_production and in_production != served:
        message = f"{address} answers with version {served}, and version {in_production} of '{name}' is in production"
        return Diagnosis(NAME, Health.WARNING, message, hint="passerelle deploy")
    return fine(NAME, f"{address} is ready with version {served}" + (", the one in production" if in_production else ""))


def _in_production(name: str, here: Surroundings) -> str:
    """Return the version that the alias points to; empty where that cannot be found out."""
    if here.server is None or not here.server.tracking_uri.startswith(("http://", "https://")):
        return ""
    try:
        found = MlflowApi(here.server, here.environment).answer(
            "GET", "registered-models/alias", {"name": name, "alias": here.server.alias}
        )
    except PasserelleError:
        return ""
    return str(found.get("model_version", {}).get("version", ""))


def _key(address: str, here: Surroundings) -> Diagnosis:
    name, key = "service key", here.client.api_key
    headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
    try:
        status = requests.get(f"{address}/metrics", headers=headers, timeout=_TIMEOUT_S).status_code
    except requests.RequestException as error:
        message = f"{address} does not answer at /metrics: {type(error).__name__}{through_proxy(address)}"
        return Diagnosis(name, Health.FAULT, message, hint=past_proxy(address, "passerelle deploy"))
    if status in (401, 403):
        message = f"{address} refuses PASSERELLE_API_KEY" if key else f"{address} asks for a key, and PASSERELLE_API_KEY is not set"
        return Diagnosis(name, Health.FAULT, message, hint="passerelle keys make NAME; export PASSERELLE_API_KEY=TOKEN")
    return fine(name, f"{address} answers " + ("to the key that is set" if key else "without a key, as it does on loopback"))


def _plain(text: object) -> str:
    """Return a text of another program as a terminal may show it."""
    return "".join(filter(str.isprintable, str(text)))[:_LONGEST_SHOWN]
