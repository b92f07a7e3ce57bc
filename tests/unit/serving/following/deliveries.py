"""Deliveries as MLflow 3.17 signs them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import uuid

SECRET = b"a-secret-of-thirty-two-characters"
BODY = json.dumps(
    {
        "entity": "model_version_alias",
        "action": "created",
        "timestamp": "2026-11-25T20:00:00+00:00",
        "data": {"name": "classification", "alias": "production", "version": "3"},
    }
).encode()


def signed(timestamp: str, body: bytes = BODY, *, secret: bytes = SECRET, delivery_id: str | None = None) -> dict[bytes, bytes]:
    """Return the headers of a delivery."""
    name = delivery_id if delivery_id is not None else str(uuid.uuid4())
    digest = hmac.new(secret, f"{name}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        b"content-type": b"application/json",
        b"x-mlflow-delivery-id": name.encode(),
        b"x-mlflow-timestamp": timestamp.encode(),
        b"x-mlflow-signature": b"v1," + base64.b64encode(digest),
    }
