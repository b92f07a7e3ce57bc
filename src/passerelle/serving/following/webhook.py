"""MLflow's webhook: which deliveries are genuine and new. One that is says 'poll now', and never which version to serve.

MLflow signs `<delivery id>.<timestamp>.<body>` with HMAC-SHA256, see https://mlflow.org/docs/latest/ml/webhooks/.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from passerelle.errors import SettingsError
from passerelle.follow_settings import FollowSettings
from passerelle.regular_file import read_regular_file
from passerelle.serving.contract import RequestError

MAX_BODY_BYTES = 65_536
#: How far the clocks of MLflow and of this machine may be apart, the time of a retry included.
TOLERANCE_S = 300
#: A delivery whose clock is ahead stays good for the tolerance on both sides.
REMEMBERED_S = 2 * TOLERANCE_S
MOST_REMEMBERED = 1_024
#: Deliveries whose signature one worker checks within `WINDOW_S`.
MOST_CHECKED, WINDOW_S = 20, 1.0
_LEAST_SECRET_BYTES = 16
_LONGEST_ID, _LONGEST_TIMESTAMP = 64, 12


@dataclass(frozen=True)
class Delivery:
    """What the headers of a delivery say, before its signature is checked."""

    id: bytes
    timestamp: bytes
    signature: bytes


@dataclass(frozen=True)
class Event:
    """What happened in the registry, as a genuine delivery says; only for the log."""

    entity: str
    action: str


class Webhooks:
    """Tells the deliveries of MLflow from all others, and takes each one once.

    Args:
        secret: That the webhook was created with.
        clock: Seconds since the epoch.
        steady: Seconds of a clock that is never set.
    """

    def __init__(self, secret: bytes, clock: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        self._secret = secret
        self._clock = clock
        self._steady = steady
        self._checked: deque[float] = deque(maxlen=MOST_CHECKED)
        #: When each delivery was taken, by the steady clock, with its timestamp; the oldest first.
        self._taken: OrderedDict[bytes, tuple[float, int]] = OrderedDict()
        self._newest_forgotten = -1

    def begin(self, headers: Mapping[bytes, bytes]) -> Delivery:
        """Return what the headers say of a delivery whose body is worth reading.

        Raises:
            RequestError: 400 for headers that MLflow does not send, 401 for a timestamp that is too far off, 409 for a delivery that was
                taken before, 429 when too many were checked in the last second.
        """
        names = (b"x-mlflow-delivery-id", b"x-mlflow-timestamp", b"x-mlflow-signature")
        delivery = Delivery(*(headers.get(name, b"") for name in names))
        _check_format(delivery)
        self._check_new(delivery)
        self._check_rate()
        return delivery

    def check(self, delivery: Delivery, body: bytes) -> Event:
        """Take a delivery: the same one is refused from here on.

        Args:
            delivery: What `begin` returned.
            body: As it arrived, byte for byte.

        Raises:
            RequestError: 413 for a body over the limit, 401 for a signature that is not MLflow's, 409 for a delivery that was taken
                meanwhile, 400 for a body that is no event, 503 when too many were taken in the last minutes.
        """
        if len(body) > MAX_BODY_BYTES:
            raise RequestError(413, "body_too_large", f"the body is larger than {MAX_BODY_BYTES} bytes")
        signed = hmac.new(self._secret, delivery.id + b"." + delivery.timestamp + b"." + body, hashlib.sha256).digest()
        if not hmac.compare_digest(b"v1," + base64.b64encode(signed), delivery.signature):
            raise RequestError(401, "unauthorized", "the signature does not match the body and the secret of this webhook")
        self._check_new(delivery)
        event = _event_of(body)
        self._remember(delivery)
        return event

    def _check_new(self, delivery: Delivery) -> None:
        timestamp = int(delivery.timestamp)
        if delivery.id in self._taken:
            raise RequestError(409, "replayed", "this delivery was taken before")
        if abs(self._clock() - timestamp) > TOLERANCE_S:
            raise RequestError(401, "stale", f"the timestamp is more than {TOLERANCE_S} s from the time of this service")
        # Its id may be among those that were forgotten: the clock was set back since.
        if timestamp <= self._newest_forgotten:
            raise RequestError(409, "replayed", "this delivery may have been taken before")

    def _check_rate(self) -> None:
        now = self._steady()
        if len(self._checked) == MOST_CHECKED and now - self._checked[0] < WINDOW_S:
            raise RequestError(429, "rate_limited", "too many deliveries at once", headers=((b"retry-after", b"1"),))
        self._checked.append(now)

    def _remember(self, delivery: Delivery) -> None:
        now = self._steady()
        if len(self._taken) == MOST_REMEMBERED:
            oldest, (taken, timestamp) = next(iter(self._taken.items()))
            if now - taken <= REMEMBERED_S:
                raise RequestError(503, "overloaded", "too many deliveries in the last minutes", headers=((b"retry-after", b"60"),))
            self._newest_forgotten = max(self._newest_forgotten, timestamp)
            del self._taken[oldest]
        self._taken[delivery.id] = (now, int(delivery.timestamp))


def webhooks_of(settings: FollowSettings) -> Webhooks | None:
    """Return what checks the deliveries; None where no secret is set.

    Raises:
        SettingsError: As `read_secret`.
    """
    path = settings.follow_webhook_secret_file
    return Webhooks(read_secret(path)) if path is not None else None


def read_secret(path: Path) -> bytes:
    """Return the secret of a file, without the white space around it.

    Raises:
        SettingsError: It cannot be read, or is too short to be one.
    """
    hint = "passerelle deploy\nunset PASSERELLE_FOLLOW_WEBHOOK_SECRET_FILE"
    try:
        secret = read_regular_file(path).strip()
    except OSError as error:
        raise SettingsError(f"the webhook's secret {path} cannot be read: {error.strerror}", hint=hint) from error
    if len(secret) < _LEAST_SECRET_BYTES:
        raise SettingsError(f"the webhook's secret {path} is shorter than {_LEAST_SECRET_BYTES} bytes", hint=hint)
    return secret


def _check_format(delivery: Delivery) -> None:
    """Check that no part holds the dot that stands between the signed parts; raises RequestError otherwise."""
    plain = 0 < len(delivery.id) <= _LONGEST_ID and delivery.id.replace(b"-", b"").isalnum()
    if not plain or not delivery.timestamp.isdigit() or len(delivery.timestamp) > _LONGEST_TIMESTAMP:
        raise RequestError(400, "malformed_webhook", "X-MLflow-Delivery-Id or X-MLflow-Timestamp is missing or malformed")
    if not delivery.signature.startswith(b"v1,"):
        raise RequestError(401, "unauthorized", "X-MLflow-Signature is missing or of another version than v1")


def _event_of(body: bytes) -> Event:
    try:
        content: Any = orjson.loads(body)
        entity, action = content["entity"], content["action"]
    except (ValueError, KeyError, TypeError):
        entity = action = None
    if not isinstance(entity, str) or not isinstance(action, str):
        raise RequestError(400, "malformed_webhook", "the body is not an event of MLflow")
    return Event(entity, action)
