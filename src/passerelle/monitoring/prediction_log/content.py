"""From an answer to the line of the log: what it keeps of the record's content."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from passerelle.log_settings import LogSettings, digest_key
from passerelle.monitoring.prediction_log.digest import record_digest
from passerelle.monitoring.prediction_log.record import SCHEMA, LoggedFeedback

if TYPE_CHECKING:
    from passerelle.model.loaded import LoadedModel

#: A longer text is cut, for the log alone.
MOST_CHARACTERS = 20_000
#: A word that is cut in two could not be recognised as personal data: it is left out where it is no longer than this.
_LONGEST_WORD = 200
_MILLISECONDS = 1_000
_OTHER_SPACES = bytes(code for code in range(256) if chr(code).isspace() and chr(code) != " ")


class AnsweredRecord(NamedTuple):
    """A record and its answer, as they wait for the log.

    Attributes:
        model: That answered.
        answer: As the contract has it.
        known_ngrams: Share of the record's n-grams that the model knows; None for a model that is not compiled.
        key_name: Of the client's API key.
        characters: Of all texts of the record.
    """

    model: LoadedModel
    record: Mapping[str, object]
    answer: Mapping[str, Any]
    known_ngrams: float | None
    key_name: str
    latency_ms: float
    batch: bool
    characters: int


class LoggedContent:
    """Makes the lines of the log.

    Args:
        settings: Which columns are logged, and how texts are.
    """

    def __init__(self, settings: LogSettings) -> None:
        self._columns = settings.columns
        self._text = settings.log_text
        self._key = digest_key(settings)
        self._model: LoadedModel | None = None
        self._model_names = ("", "")
        self._at_digits = self._at_text = ""
        self._second = -1
        self._second_text = ""

    def prepare(self) -> None:
        """Load what the lines need, which takes time once."""
        if self._text == "redacted":
            self._redaction.redact("")

    def prediction(self, answered: AnsweredRecord) -> bytes:
        """Return the line of an answer."""
        model, record, answer = answered.model, answered.record, answered.answer
        top = answer["top"]
        second = top[1] if len(top) > 1 else {"label": None, "probability": None}
        registered_model, artifact_digest = self._names_of(model)
        fields, redaction = self._fields(record, self._columns)
        words = 0
        for value in record.values():
            if isinstance(value, str):
                words += _words(value)
        # The fields of `LoggedPrediction`; to make one first would take as long again as the rest.
        return _line(
            {
                "prediction_id": answer["prediction_id"],
                "at": self._at(answer["prediction_id"]),
                "registered_model": registered_model,
                "model_version": answer["model_version"],
                "artifact_digest": artifact_digest,
                "key_name": answered.key_name,
                "label": answer["label"],
                "probability": answer["probability"],
                "second_label": second["label"],
                "second_probability": second["probability"],
                "review": answer["review"],
                "characters": answered.characters,
                "words": words,
                "known_ngrams": answered.known_ngrams,
                "latency_ms": int(answered.latency_ms * 1_000) / 1_000,
                "batch": answered.batch,
                "golden": model.is_golden(record),
                "record_digest": record_digest(record, self._key) if self._key else None,
                "redaction": redaction,
                "fields": fields,
                "schema": SCHEMA,
            }
        )

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

    def _names_of(self, model: LoadedModel) -> tuple[str, str]:
        """Return the registered model and the digest of its artifacts."""
        # Nearly always that of the answer before.
        if model is not self._model:
            self._model = model
            self._model_names = model.lineage.get("registered_model", ""), model.lineage.get("artifact_digest", "")
        return self._model_names

    def _at(self, prediction_id: str) -> str:
        """Return the time that the id names, so that both name the same day."""
        digits = prediction_id[:13]
        if digits != self._at_digits:
            second, milliseconds = divmod(int(digits.replace("-", ""), 16), _MILLISECONDS)
            if second != self._second:
                self._second, self._second_text = second, datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            self._at_digits, self._at_text = digits, f"{self._second_text}.{milliseconds:03d}+00:00"
        return self._at_text


def _cut(text: str) -> str:
    if len(text) <= MOST_CHARACTERS:
        return text
    begin = text[:MOST_CHARACTERS]
    words = begin.rsplit(maxsplit=1)[0]
    return f"{words if len(begin) - len(words) <= _LONGEST_WORD else begin} …"


def _words(text: str) -> int:
    """Return how many words there are between white space."""
    try:
        data = text.encode("latin-1")
    except UnicodeEncodeError:
        return len(text.split())
    # Most texts have single spaces alone, so that they need not be split.
    if b"  " in data or len(data.translate(None, _OTHER_SPACES)) != len(data):
        return len(text.split())
    return data.count(b" ") + 1 - data.startswith(b" ") - data.endswith(b" ") if data.strip(b" ") else 0


def _line(columns: Mapping[str, object]) -> bytes:
    return orjson.dumps(columns, default=str, option=orjson.OPT_APPEND_NEWLINE)
