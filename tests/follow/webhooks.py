"""Deliveries as MLflow's webhook signs them, to a service that follows."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import uuid
from collections import Counter

import httpx

from tests.follow.followed import WEBHOOK_SECRET, Followed


def _delivery(followed: Followed, secret: str) -> tuple[bytes, dict[str, str]]:
    """Return body and headers of a delivery that is signed with this secret."""
    data = {"name": followed.wanted.registered_model, "alias": "production", "version": str(followed.wanted.version)}
    event = {"entity": "model_version_alias", "action": "created", "timestamp": "2026-11-25T20:00:00+00:00", "data": data}
    body, delivery_id, timestamp = json.dumps(event).encode(), str(uuid.uuid4()), str(int(time.time()))
    digest = hmac.new(secret.encode(), f"{delivery_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return body, {
        "content-type": "application/json",
        "x-mlflow-delivery-id": delivery_id,
        "x-mlflow-timestamp": timestamp,
        "x-mlflow-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def forged_and_replayed(followed: Followed) -> None:
    """Send a flood of forged deliveries, and a real one over and over: the first is taken, by each worker once."""
    address, statuses = f"{followed.replica.service.address}/follow/webhook", Counter[int]()
    with httpx.Client(timeout=30) as client:
        for _ in range(200):
            body, headers = _delivery(followed, "another secret of thirty-two characters")
            statuses[client.post(address, content=body, headers=headers).status_code] += 1
        assert set(statuses) <= {401, 429}, statuses
        statuses.clear()
        time.sleep(1.1)
        body, headers = _delivery(followed, WEBHOOK_SECRET)
        for _ in range(50):
            statuses[client.post(address, content=body, headers=headers).status_code] += 1
    taken = sum(times for status, times in statuses.items() if status < 300)
    assert 1 <= taken <= 2, statuses
    assert set(statuses) - {409, 429} <= {200, 202, 204}, statuses
    followed.mended = time.monotonic()
