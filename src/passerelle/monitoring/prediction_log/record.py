"""What is recorded of each answer and of each feedback: the columns of the log, in the line of a worker and in Parquet alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

#: Changes with each change of a column; readers take older numbers too.
SCHEMA: Final = 2


class LoggedPrediction(NamedTuple):
    """One answer.

    Attributes:
        prediction_id: UUIDv7; its time is the day of the partition.
        at: ISO 8601 in UTC, with milliseconds.
        registered_model: Of the version that answered.
        model_version: That answered.
        artifact_digest: Of that version.
        key_name: Name of the API key, never the key; `loopback` without one.
        label: That was answered; empty where the model gives no label, or several.
        probability: Of the label; None for a model without probabilities.
        second_label: The next probable class; None for a model without probabilities.
        second_probability: Of that class.
        review: Whether the answer asked for a person to look.
        characters: Of all texts of the record together.
        words: Of all texts together, split at white space.
        known_ngrams: Share of the n-grams that the model knows, from 0 to 1; None for a model that is not compiled.
        latency_ms: Between the read body and the answer.
        batch: Whether the record was one of a batch.
        golden: Whether the record is one of the model's golden inputs, which each deployment replays: no citizen's, most likely.
        record_digest: Keyed digest of the record (HMAC-SHA256, hexadecimal); None without a key for it.
        redaction: Version of the redaction rules that the fields went through; None for full texts, or without fields.
        fields: The record's columns that are logged; None where none is. Kept in files of their own, with a shorter retention.
        value: Of a model that is no classifier, what it answered, as JSON: its prediction, or its labels. Since schema 2.
        schema: Of this line.
    """

    prediction_id: str
    at: str
    registered_model: str
    model_version: str
    artifact_digest: str
    key_name: str
    label: str
    probability: float | None
    second_label: str | None
    second_probability: float | None
    review: bool
    characters: int
    words: int
    known_ngrams: float | None
    latency_ms: float
    batch: bool
    golden: bool = False
    record_digest: str | None = None
    redaction: int | None = None
    fields: Mapping[str, object] | None = None
    value: str | None = None
    schema: int = SCHEMA


class LoggedFeedback(NamedTuple):
    """One correction, or confirmation, of an answer.

    Attributes:
        prediction_id: Of the answer; its time is the day of the partition, as for the answer.
        at: ISO 8601 in UTC, with milliseconds.
        registered_model: That the service answers with.
        key_name: Name of the API key that sent it.
        label: The right one.
        by: Who says so; empty where that is not said.
        comment: Redacted; None without one, or where texts are not logged.
        redaction: Version of the redaction rules that comment and fields went through.
        fields: The record that was sent again, once checked against the digest in the log, under the same rules as the log's own.
        record_digest: Keyed digest of that record as it was sent; None without it.
        schema: Of this line.
    """

    prediction_id: str
    at: str
    registered_model: str
    key_name: str
    label: str
    by: str
    comment: str | None = None
    redaction: int | None = None
    fields: Mapping[str, object] | None = None
    record_digest: str | None = None
    schema: int = SCHEMA
