"""Those who ask: one comment at a time, many at once, in the wrong way, and over a new connection each time."""

from __future__ import annotations

import csv
import json
import random
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from locust import FastHttpUser, between, task

from passerelle.client_settings import ClientSettings

COMMENTS = Path(__file__).resolve().parents[2] / "training" / "data" / "comments.csv"
RECORDS = 20
JSON_TYPE = {"Content-Type": "application/json"}


@cache
def comments() -> tuple[str, ...]:
    """Return comments of citizens, as they wrote them."""
    with COMMENTS.open(encoding="utf-8", newline="") as file:
        return tuple(row["text"] for row in csv.DictReader(file))


@dataclass(frozen=True)
class Wrong:
    """A request that must be refused in just this way.

    Attributes:
        body: Bytes; locust's types know only text, but it sends both.
        text: Part of what is sent, that the answer must not hold.
    """

    status: int
    code: str
    body: Any
    path: str = "/classify"
    method: str = "POST"
    media_type: str = "application/json"
    text: str = ""


@cache
def wrong_requests() -> tuple[Wrong, ...]:
    """Return one request for each way of being wrong that a client can be blamed for."""
    text = comments()[0]

    def said(content: Any) -> bytes:
        return json.dumps(content, ensure_ascii=False).encode()

    return (
        Wrong(400, "malformed_json", said({"text": text})[:-2], text=text),
        Wrong(400, "malformed_json", text.encode("utf-16"), text=text),
        Wrong(404, "not_found", said({"text": text}), path="/nowhere", text=text),
        Wrong(405, "wrong_method", b"", method="GET"),
        Wrong(415, "unsupported_media_type", text.encode(), media_type="text/plain", text=text),
        Wrong(422, "invalid_record", said({"text": "  "})),
        Wrong(422, "invalid_record", said({"text": [text]}), text=text),
        Wrong(422, "invalid_record", said({"texte": text}), text=text),
        Wrong(422, "invalid_record", said({"text": text * (1 + 20_000 // len(text))}), text=text),
        Wrong(422, "invalid_record", said({"records": [{"text": text}, {"text": 3}]}), path="/classify/batch", text=text),
        Wrong(422, "too_many_records", said({"records": [{"text": "a"}] * 1_001}), path="/classify/batch"),
    )


class Citizen(FastHttpUser):
    """What all of them do: send real comments, and look at the answer."""

    abstract = True
    wait_time = between(0.02, 0.1)
    connection_timeout = 10.0
    network_timeout = 30.0

    def on_start(self) -> None:
        """Take the API key of the environment along, where there is one."""
        key = ClientSettings.read().api_key
        if key is not None:
            self.client.auth_header = f"Bearer {key.get_secret_value()}"

    def classify(self, name: str) -> None:
        """Send one comment."""
        body: Any = json.dumps({"text": random.choice(comments())}).encode()  # noqa: S311 - a choice of texts
        with self.client.post("/classify", data=body, headers=JSON_TYPE, name=name, catch_response=True) as answer:
            self.judge(answer)

    def judge(self, answer: Any) -> None:
        """Count the answer to one comment as good or not."""
        if answer.status_code != 200:  # noqa: PLR2004
            answer.failure(f"{answer.status_code}: {answer.text[:200] if answer.text else answer.error!r}")
        elif not {"label", "probability", "prediction_id"} <= answer.json().keys():
            answer.failure("the answer is not a prediction")


class OneAtATime(Citizen):
    """Sends one comment after the other over the same connection."""

    weight = 10

    @task
    def one(self) -> None:
        """Send one comment."""
        self.classify("POST /classify")


class Newcomer(Citizen):
    """Opens a connection for each comment."""

    weight = 2

    @task
    def one(self) -> None:
        """Send one comment, and hang up."""
        self.classify("POST /classify (new connection)")
        self.client.client.close()


class Batches(Citizen):
    """Sends many comments at once."""

    weight = 2

    @task
    def batch(self) -> None:
        """Send a batch and look whether every record was answered."""
        texts = random.sample(comments(), RECORDS)
        body: Any = json.dumps({"records": [{"text": text} for text in texts]}).encode()
        name = f"POST /classify/batch ({RECORDS})"
        with self.client.post("/classify/batch", data=body, headers=JSON_TYPE, name=name, catch_response=True) as answer:
            if answer.status_code != 200:  # noqa: PLR2004
                answer.failure(f"{answer.status_code}: {answer.text[:200] if answer.text else answer.error!r}")
            elif len(answer.json()["predictions"]) != RECORDS:
                answer.failure("not every record was answered")


class Mistaken(Citizen):
    """Sends what must be refused, and looks whether it is, in the right way."""

    weight = 2

    @task
    def wrong(self) -> None:
        """Send one of the wrong requests."""
        sent = random.choice(wrong_requests())  # noqa: S311 - a choice of requests
        headers, name = {"Content-Type": sent.media_type}, f"refused {sent.status} {sent.code}"
        with self.client.request(sent.method, sent.path, data=sent.body, headers=headers, name=name, catch_response=True) as answer:
            told = answer.text or ""
            if answer.status_code != sent.status:
                answer.failure(f"{answer.status_code} for {sent.status}: {told[:200]}")
            elif json.loads(told)["code"] != sent.code:
                answer.failure(f"another code: {told[:200]}")
            elif sent.text and sent.text in told:
                answer.failure("the answer holds what was sent")
            else:
                answer.success()
