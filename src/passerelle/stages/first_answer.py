"""The first request to a new service, and its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from passerelle.errors import OutsideError
from passerelle.model.golden import Golden

_ASK_TIMEOUT_S = 10
#: The proxy of the stack checks every second which replicas are ready.
_RETRY = Retry(total=5, backoff_factor=0.5, status_forcelist=(502, 503), allowed_methods=None)


@dataclass(frozen=True)
class FirstAnswer:
    """What the service answered to its first record.

    Attributes:
        comment: That was sent; None where the first golden input was, whose values are the training's data.
        fields: Of the record.
        answer: As the service gave it.
    """

    comment: str | None
    fields: tuple[str, ...]
    answer: Mapping[str, Any]


def first_answer(address: str, golden: Golden, *, comment: str, api_key: str | None = None) -> FirstAnswer:
    """Ask the service: a comment, or the first golden input of a model that takes something else.

    Args:
        comment: What a model of texts is asked.

    Raises:
        OutsideError: It does not answer.
    """
    first, takes_a_text = golden.inputs[0], is_text(golden)
    record: Mapping[str, object] = {"text": comment} if takes_a_text else first
    return FirstAnswer(comment if takes_a_text else None, tuple(record), ask(address, record, api_key))


def is_text(golden: Golden) -> bool:
    """Return whether a record of the model is one text, in the field `text`."""
    first = golden.inputs[0]
    return set(first) == {"text"} and isinstance(first["text"], str)


def ask(address: str, record: Mapping[str, object], api_key: str | None) -> dict[str, Any]:
    """Return the service's answer to one record.

    Raises:
        OutsideError: It does not answer, or refuses.
    """
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=_RETRY))
        try:
            answer = session.post(f"{address}/classify", json=dict(record), headers=headers, timeout=_ASK_TIMEOUT_S)
            answer.raise_for_status()
        except requests.RequestException as error:
            raise OutsideError(f"the service at {address} did not answer its first record", hint="passerelle status") from error
    return dict(answer.json())
