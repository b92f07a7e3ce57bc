"""The routes of the service: one table of path, methods, access, name in the metrics, and what answers."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from passerelle.api_keys import CLASSIFY_RIGHT, FEEDBACK_RIGHT
from passerelle.names import CLASSIFY, CLASSIFY_BATCH, FEEDBACK, INFER_ROUTE, INVOCATIONS_ROUTE, PREDICT, PREDICT_BATCH, PREDICT_V1_ROUTE


class Access(Enum):
    """Who may send requests."""

    OPEN = "anybody, without a rate limit"
    KEY = "anybody with an API key where keys are required, within the rate limit"
    METRICS = "as KEY, unless the setting metrics_public opens it"
    SIGNED = "whoever signs the body with a secret of its own, within a rate limit of its own"


class AnsweredBy(Enum):
    """What answers."""

    ENDPOINT = "the endpoint itself"
    PAGES = "the application for people"
    BENTOML = "BentoML"


class Route(NamedTuple):
    """One route.

    Attributes:
        path: The whole path, or its beginning where it ends in `/`.
        methods: That are answered; any other gets 405.
        access: Who may send requests.
        metric: Its name in metrics, access log and traces; never a path that a client made up.
        answered_by: What answers.
        right: That an API key must have; None where each key will do.
        end: The end of the path, where `path` is its beginning.
        door: The foreign protocol that it is part of, by its name in the setting `doors`; None for the service's own.
    """

    path: str
    methods: tuple[str, ...]
    access: Access
    metric: str
    answered_by: AnsweredBy
    right: str | None = None
    end: str = ""
    door: str | None = None


#: The paths that other modules name too.
LIVEZ, READYZ, METRICS, MODEL = "/livez", "/readyz", "/metrics", "/model"
MODELS, WEBHOOK = "/models/", "/follow/webhook"
#: The foreign protocols, by their names in the setting `doors`.
V1, V2, INVOCATIONS = "v1", "v2", "invocations"
#: The paths of the foreign protocols that other modules name too.
V2_SERVER, V2_LIVE, V2_READY, V2_MODELS = "/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/"
V1_LIST, V1_MODELS = "/v1/models", "/v1/models/"
INVOKE, PING, HEALTH, VERSION, ENDPOINTS = "/invocations", "/ping", "/health", "/version", "/endpoints/"
#: What orchestrators, proxies and Prometheus ask every few seconds.
PROBES = frozenset({LIVEZ, READYZ, "/healthz", METRICS, V2_LIVE, V2_READY, PING, HEALTH})
INFER_END, READY_END, PREDICT_END = "/infer", "/ready", ":predict"

_POST, _READ = ("POST",), ("GET", "HEAD")
ROUTES = (
    Route(CLASSIFY, _POST, Access.KEY, CLASSIFY, AnsweredBy.ENDPOINT, CLASSIFY_RIGHT),
    Route(CLASSIFY_BATCH, _POST, Access.KEY, CLASSIFY_BATCH, AnsweredBy.ENDPOINT, CLASSIFY_RIGHT),
    Route(PREDICT, _POST, Access.KEY, PREDICT, AnsweredBy.ENDPOINT, CLASSIFY_RIGHT),
    Route(PREDICT_BATCH, _POST, Access.KEY, PREDICT_BATCH, AnsweredBy.ENDPOINT, CLASSIFY_RIGHT),
    Route(MODELS, _POST, Access.KEY, "/models", AnsweredBy.ENDPOINT, CLASSIFY_RIGHT),
    Route(FEEDBACK, _POST, Access.KEY, FEEDBACK, AnsweredBy.ENDPOINT, FEEDBACK_RIGHT),
    Route(WEBHOOK, _POST, Access.SIGNED, WEBHOOK, AnsweredBy.ENDPOINT),
    Route(LIVEZ, _READ, Access.OPEN, LIVEZ, AnsweredBy.ENDPOINT),
    Route(READYZ, _READ, Access.OPEN, READYZ, AnsweredBy.ENDPOINT),
    Route("/healthz", _READ, Access.OPEN, "/healthz", AnsweredBy.ENDPOINT),
    Route(METRICS, _READ, Access.METRICS, METRICS, AnsweredBy.ENDPOINT),
    Route("/", _READ, Access.OPEN, "/", AnsweredBy.PAGES),
    Route(MODEL, _READ, Access.KEY, MODEL, AnsweredBy.PAGES),
    Route("/docs", _READ, Access.OPEN, "/docs", AnsweredBy.PAGES),
    Route("/openapi.json", _READ, Access.OPEN, "/openapi.json", AnsweredBy.PAGES),
    Route("/docs.json", _READ, Access.OPEN, "/docs.json", AnsweredBy.BENTOML),
    Route("/schema.json", _READ, Access.OPEN, "/schema.json", AnsweredBy.BENTOML),
    Route("/static_content/", _READ, Access.OPEN, "static", AnsweredBy.BENTOML),
    Route(V2_SERVER, _READ, Access.KEY, V2_SERVER, AnsweredBy.ENDPOINT, door=V2),
    Route(V2_LIVE, _READ, Access.OPEN, V2_LIVE, AnsweredBy.ENDPOINT, door=V2),
    Route(V2_READY, _READ, Access.OPEN, V2_READY, AnsweredBy.ENDPOINT, door=V2),
    Route(V2_MODELS, _POST, Access.KEY, INFER_ROUTE, AnsweredBy.ENDPOINT, CLASSIFY_RIGHT, end=INFER_END, door=V2),
    Route(V2_MODELS, _READ, Access.KEY, "/v2/models", AnsweredBy.ENDPOINT, door=V2),
    Route(V1_LIST, _READ, Access.KEY, V1_LIST, AnsweredBy.ENDPOINT, door=V1),
    Route(V1_MODELS, _POST, Access.KEY, PREDICT_V1_ROUTE, AnsweredBy.ENDPOINT, CLASSIFY_RIGHT, end=PREDICT_END, door=V1),
    Route(V1_MODELS, _READ, Access.KEY, V1_LIST, AnsweredBy.ENDPOINT, door=V1),
    Route(INVOKE, _POST, Access.KEY, INVOCATIONS_ROUTE, AnsweredBy.ENDPOINT, CLASSIFY_RIGHT, door=INVOCATIONS),
    Route(ENDPOINTS, _POST, Access.KEY, INVOCATIONS_ROUTE, AnsweredBy.ENDPOINT, CLASSIFY_RIGHT, end=INVOKE, door=INVOCATIONS),
    Route(PING, _READ, Access.OPEN, PING, AnsweredBy.ENDPOINT, door=INVOCATIONS),
    Route(HEALTH, _READ, Access.OPEN, HEALTH, AnsweredBy.ENDPOINT, door=INVOCATIONS),
    Route(VERSION, _READ, Access.KEY, VERSION, AnsweredBy.ENDPOINT, door=INVOCATIONS),
)
#: Stands for every other path: 404, after the check of the access.
UNKNOWN = Route("", (), Access.KEY, "unknown", AnsweredBy.ENDPOINT)
#: The metrics label of a request that is refused before its path can be read.
UNREAD = "unread"

_FOLDERS = tuple(route for route in ROUTES if route.path.endswith("/") and len(route.path) > 1)
_BY_PATH = {route.path: route for route in ROUTES if route.path not in {folder.path for folder in _FOLDERS if folder.end}}


def route_of(path: str, doors: frozenset[str] = frozenset()) -> Route:
    """Return the route of a request's path, `UNKNOWN` where there is none.

    Args:
        doors: The foreign protocols that are answered.
    """
    found = _BY_PATH.get(path)
    if found is None:
        found = next((folder for folder in _FOLDERS if path.startswith(folder.path) and path.endswith(folder.end)), UNKNOWN)
    return found if found.door is None or found.door in doors else UNKNOWN
