"""What is checked of a request before its body is read, and which model answers it."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import TYPE_CHECKING

from passerelle.names import CLASSIFY, CLASSIFY_BATCH, PREDICT_BATCH
from passerelle.serving.contract import RequestError
from passerelle.serving.routes import Route
from passerelle.serving.runtime import Runtime

if TYPE_CHECKING:
    from passerelle.model.loaded import LoadedModel
    from passerelle.serving.following.live_candidate import Answering

#: The paths that answer batches.
BATCHES = frozenset({CLASSIFY_BATCH, PREDICT_BATCH})
_JSON_TYPES = (b"application/json",)
_SEND_JSON = "send application/json"


def check_task(runtime: Runtime, path: str, model_path: str = "") -> None:
    """Check that the model answers on this path; a model that is not known yet is not checked.

    Args:
        path: One of those that answer records.
        model_path: What stands before it, where it is the path of one of several models.

    Raises:
        RequestError: 404, with the path that the model answers on.
    """
    answers = runtime.answers
    if path in (answers.path, answers.batch_path) or not runtime.description.columns:
        return
    instead = model_path + (answers.batch_path if path in BATCHES else answers.path)
    kind = "is a classifier" if answers.path == CLASSIFY else "is no classifier"
    raise RequestError(404, "not_found", f"the model {kind}: send the request to {instead}")


def answering(runtime: Runtime, headers: dict[bytes, bytes], least: bytes | None) -> tuple[LoadedModel, Answering]:
    """Return the model that answers a request, and what answers with it: the candidate's share of the requests is compared."""
    return (runtime.ready_with(least), runtime) if runtime.rollout is None else runtime.rollout.answering(headers, least)


def request_id_of(headers: dict[bytes, bytes]) -> str:
    """Return the client's own request id where it is short and plain, else a new one."""
    given = headers.get(b"x-request-id")
    if given and len(given) <= 64 and given.replace(b"-", b"").replace(b"_", b"").isalnum():  # noqa: PLR2004 - a UUID has 36
        return given.decode("ascii")
    return os.urandom(8).hex()


def check_method(route: Route, method: str) -> None:
    """Check that the route has this method; an unknown path is not checked.

    Raises:
        RequestError: 405, with the methods that are answered.
    """
    if route.methods and method not in route.methods:
        allowed = ", ".join(route.methods).encode()
        raise RequestError(405, "wrong_method", f"only {route.methods[0]} is answered here", headers=((b"allow", allowed),))


def check_media_type(
    headers: dict[bytes, bytes], accepted: Collection[bytes] = _JSON_TYPES, message: str = "send application/json"
) -> None:
    """Refuse other media types than these, and a body that the server could not read.

    Args:
        accepted: The media types; the empty one stands for a request that names none.
        message: Of the refusal of another.

    Raises:
        RequestError: 415.
    """
    given = headers.get(b"content-type", b"")
    if given not in accepted and given.partition(b";")[0].strip().lower() not in accepted:
        raise RequestError(415, "unsupported_media_type", message)
    if headers.get(b"content-encoding", b"identity") != b"identity":
        raise RequestError(415, "unsupported_encoding", "send the body without a content encoding")
