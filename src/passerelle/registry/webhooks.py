"""The webhooks in MLflow that passerelle made: one an address, told apart from those of others by their name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypedDict, cast

from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request, verify_rest_response

from passerelle.registry.client import Registry
from passerelle.registry.failures import mlflow_errors

_ENDPOINT = "/api/2.0/mlflow/webhooks"
#: What moving and deleting an alias sends.
_EVENTS = [{"entity": "MODEL_VERSION_ALIAS", "action": action} for action in ("CREATED", "DELETED")]
_HINT = "export PASSERELLE_FOLLOW_WEBHOOK=on; passerelle up\nexport PASSERELLE_FOLLOW_WEBHOOK=on; passerelle deploy --target compose"


def keep_webhooks(registry: Registry, name: str, urls: Sequence[str], secret: str) -> int:
    """Let the webhooks of this name be exactly those of the addresses, with this secret.

    MLflow never shows a secret, so each one that is there gets it again. A delivery may still go to the former ones for a minute: MLflow
    remembers its list that long.

    Returns:
        How many webhooks were made or deleted; 0 when all were there.

    Raises:
        OutsideError: MLflow does not answer, or refuses an address or this user.
    """
    with registry.environment.calling(), mlflow_errors(f"the webhook '{name}' in MLflow", hint=_HINT):
        found = [each for each in _listed(registry) if each["name"] == name]
        kept: set[str] = set()
        changed = 0
        for each in found:
            if each["url"] in urls and each["url"] not in kept:
                kept.add(each["url"])
                given = {"secret": secret, "status": "ACTIVE", "events": _EVENTS}
                _ask(registry, "PATCH", f"/{each['webhook_id']}", json={"webhook_id": each["webhook_id"], **given})
            else:
                _ask(registry, "DELETE", f"/{each['webhook_id']}", json={"webhook_id": each["webhook_id"]})
                changed += 1
        for url in (url for url in urls if url not in kept):
            _ask(registry, "POST", json={"name": name, "url": url, "secret": secret, "events": _EVENTS, "status": "ACTIVE"})
            changed += 1
    return changed


class _Webhook(TypedDict):
    """What is read of a webhook."""

    webhook_id: str
    name: str
    url: str


class _Page(TypedDict, total=False):
    """What MLflow answers with."""

    webhooks: list[_Webhook]
    next_page_token: str


def _listed(registry: Registry) -> Iterator[_Webhook]:
    token = None
    while True:
        page = _ask(registry, "GET", params={"page_token": token} if token else {})
        yield from page.get("webhooks", ())
        token = page.get("next_page_token")
        if not token:
            return


def _ask(registry: Registry, method: str, path: str = "", **options: object) -> _Page:
    endpoint = _ENDPOINT + path
    response = http_request(get_default_host_creds(registry.settings.tracking_uri), endpoint, method, **options)
    return cast("_Page", verify_rest_response(response, endpoint).json())
