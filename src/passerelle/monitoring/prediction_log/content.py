"""From an answer to the line of the log: what it keeps of the record's content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, NamedTuple

import orjson

from passerelle.monitoring.prediction_log.digest import canonical, content_digest, record_digest
from passerelle.monitoring.prediction_log.record import SCHEMA, LoggedFeedback

#: A longer text is cut, for the log alone.
MOST_CHARACTERS = 20_000
#: A word that is cut in two could not be recognised as personal data: it is left out where it is no longer than this.
_LONGEST_WORD = 200
_MILLISECONDS = 1_000
#: Of an id, with the hyphen between them.
_TIME_DIGITS = 13
#: The digit 0 for white space, and 1 for every other character of ISO 8859-1.
_BITS = bytes(ord("0" if chr(code).isspace() else "1") for code in range(256))


class ContentRules(NamedTuple):
    """Which content is logged.

    Attributes:
        columns: That are logged; none for the texts of a record of texts alone.
        text: Whether texts are: `off`, `redacted` or `full`.
        key: Of the digests; empty without one.
    """

    columns: tuple[str, ...]
    text: str
    key: bytes


class AnsweringModel(NamedTuple):
    """What the lines say of a version that answers.

    Attributes:
        golden_inputs: Each as `canonical` returns it.
    """

    registered_model: str
    artifact_digest: str
    golden_inputs: frozenset[bytes]


class AnsweredRecord(NamedTuple):
    """A record and what was answered, as they wait for the log: plain values, and of the answer only what a line needs.

    Attributes:
        output: The answer of a model without probabilities; None for any other.
        known_ngrams: Share of the record's n-grams that the model knows; None for a model that is not compiled.
        key_name: Of the client's API key.
    """

    record: Mapping[str, Any]
    prediction_id: str
    model_version: str
    label: str
    probability: float | None
    second_label: str | None
    second_probability: float | None
    review: bool
    output: Mapping[str, Any] | None
    known_ngrams: float | None
    key_name: str
    seconds: float
    batch: bool


class LoggedContent:
    """Makes the lines of the log.

    Args:
        rules: Which columns are logged, and how texts are.
    """

    def __init__(self, rules: ContentRules) -> None:
        self._columns, self._text, self._key = rules
        self._no_fields = not rules.columns and rules.text == "off"
        self._at_digits = self._at_text = ""
        self._second = -1
        self._second_text = ""

    def prepare(self) -> None:
        """Load what the lines need, which takes time once."""
        if self._text == "redacted":
            self._redaction.redact("")

    def prediction(self, answered: Sequence[Any], model: AnsweringModel) -> bytes:
        """Return the line of an answer.

        Args:
            answered: The fields of `AnsweredRecord`, in their order.
        """
        # Unpacked, since to look each field up by its name takes longer.
        record, prediction_id, model_version, label, probability, second_label = answered[:6]
        second_probability, review, output, known_ngrams, key_name, seconds, batch = answered[6:]
        if prediction_id[:_TIME_DIGITS] != self._at_digits:
            self._set_time(prediction_id[:_TIME_DIGITS])
        fields, redaction = (None, None) if self._no_fields else self._fields(record, self._columns)
        content = canonical(record)
        texts = [value for value in record.values() if isinstance(value, str)]
        # The fields of `LoggedPrediction`; to make one first would take as long again as the rest.
        line = {
            "prediction_id": prediction_id,
            "at": self._at_text,
            "registered_model": model.registered_model,
            "model_version": model_version,
            "artifact_digest": model.artifact_digest,
            "key_name": key_name,
            "label": label,
            "probability": probability,
            "second_label": second_label,
            "second_probability": second_probability,
            "review": review,
            "characters": sum(map(len, texts)),
            "words": sum(map(_words, texts)),
            "known_ngrams": known_ngrams,
            "latency_ms": int(seconds * 1_000_000) / 1_000,
            "batch": batch,
            "golden": content in model.golden_inputs,
            "record_digest": content_digest(content, self._key) if None not in record.values() else record_digest(record, self._key),
            "redaction": redaction,
            "fields": fields,
            "value": None if output is None else _value(output),
            "schema": SCHEMA,
        }
        return orjson.dumps(line, default=str, option=orjson.OPT_APPEND_NEWLINE)

    def feedback(self, feedback: LoggedFeedback) -> bytes:
        """Return the line of a feedback, whose comment and fields are as they were sent."""
        comment = None if feedback.comment is None or self._text == "off" else self._kept(feedback.comment)
        fields, redaction = (None, None) if feedback.fields is None else self._fields(feedback.fields, self._columns)
        if comment is not None and self._text == "redacted":
            redaction = self._rules_version
        digest = feedback.record_digest if feedback.fields is None else record_digest(feedback.fields, self._key)
        return _line(feedback._replace(comment=comment, fields=fields, redaction=redaction, record_digest=digest)._asdict())

    def _fields(self, record: Mapping[str, object], columns: tuple[str, ...]) -> tuple[dict[str, object] | None, int | None]:
        """Return what of the record is logged, None for nothing, and the version of the rules that its texts went through."""
        if not columns:
            if self._text == "off" or not (len(record) == 1 or all(isinstance(value, str) for value in record.values())):
                return None, None
            columns = tuple(record)
        texts = {column: value for column in columns if isinstance(value := record.get(column), str)}
        others = {column: record[column] for column in columns if column in record and column not in texts}
        if self._text == "off":
            texts = {}
        fields = {**others, **{column: self._kept(text) for column, text in texts.items()}}
        return fields or None, self._rules_version if texts and self._text == "redacted" else None

    def _kept(self, text: str) -> str:
        text = _cut(text)
        return text if self._text == "full" else str(self._redaction.redact(text).text)

    @cached_property
    def _redaction(self) -> Any:
        # Its rules take time to compile: only where texts are redacted.
        from passerelle.monitoring import redaction  # noqa: PLC0415 - see above

        return redaction

    @property
    def _rules_version(self) -> int:
        return int(self._redaction.RULES_VERSION)

    def _set_time(self, digits: str) -> None:
        """Set `at` to the time that an id names, so that both name the same day.

        Args:
            digits: The first ones of the id.
        """
        second, milliseconds = divmod(int(digits.replace("-", ""), 16), _MILLISECONDS)
        if second != self._second:
            self._second, self._second_text = second, datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        self._at_digits, self._at_text = digits, f"{self._second_text}.{milliseconds:03d}+00:00"


def _value(answer: Mapping[str, Any]) -> str | None:
    """Return what a model that is no classifier answered, as JSON; None for a classifier, and for what is longer than a text may be."""
    found = answer["prediction"] if "prediction" in answer else answer.get("labels")
    if found is None:
        return None
    content = orjson.dumps(found, default=str).decode()
    return content if len(content) <= MOST_CHARACTERS else None


def _cut(text: str) -> str:
    if len(text) <= MOST_CHARACTERS:
        return text
    begin = text[:MOST_CHARACTERS]
    words = begin.rsplit(maxsplit=1)[0]
    return f"{words if len(begin) - len(words) <= _LONGEST_WORD else begin} …"


def _words(text: str) -> int:
    """Return how many words there are between white space, in a third of the time that it takes to split the text."""
    try:
        bits = int(b"0" + text.encode("latin-1").translate(_BITS), 2)
    except UnicodeEncodeError:
        return len(text.split())
    # A word begins where a 1 follows a 0.
    return (bits & ~(bits >> 1)).bit_count()


def _line(columns: Mapping[str, object]) -> bytes:
    return orjson.dumps(columns, default=str, option=orjson.OPT_APPEND_NEWLINE)
