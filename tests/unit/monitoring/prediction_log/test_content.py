"""What the log keeps of a record: nothing, chosen columns, redacted texts or all of it."""

from __future__ import annotations

import hmac
import json
from collections.abc import Sequence
from typing import Any

import pytest

from passerelle.errors import SettingsError
from passerelle.log_settings import LogSettings, check_log, digest_key
from passerelle.model.prediction_id import new_prediction_id
from passerelle.monitoring.prediction_log.content import MOST_CHARACTERS, AnsweringModel, LoggedContent
from passerelle.monitoring.prediction_log.content_rules import rules_of
from passerelle.monitoring.prediction_log.digest import record_digest
from passerelle.monitoring.prediction_log.record import LoggedFeedback
from passerelle.monitoring.redaction import RULES_VERSION
from tests.unit.monitoring.prediction_log.answers import answered

MODEL_OF_LINES = AnsweringModel("classification", "sha256:00", frozenset({b'{"text":"golden"}'}))


def line_of(entry: Sequence[Any], **settings: Any) -> Any:
    """Return the columns of the line."""
    return json.loads(LoggedContent(rules_of(LogSettings.read({}, **settings))).prediction(entry, MODEL_OF_LINES))


def kept(record: dict[str, object], **settings: Any) -> tuple[Any, Any]:
    """Return the fields that are logged, and the version of the rules."""
    line = line_of(answered(record=record), **settings)
    return line["fields"], line["redaction"]


TEXTS: dict[str, object] = {"subject": "M. Dupont", "body": "Mme Durand est là"}
TABLE: dict[str, object] = {"title": "M. Dupont", "age": 41, "city": "Paris", "score": None}


@pytest.mark.parametrize("text", ["golden", "other"])
def test_a_golden_input_is_marked(text: str) -> None:
    line = line_of(answered(record={"text": text}))
    assert line["golden"] is (text == "golden")


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ({"prediction": 1.5}, "1.5"),
        ({"prediction": {"low": 1, "high": None}}, '{"low":1,"high":null}'),
        ({"labels": [{"label": "a", "probability": 0.75, "given": True}]}, '[{"label":"a","probability":0.75,"given":true}]'),
        ({"prediction": None}, None),
        ({"prediction": "x" * MOST_CHARACTERS}, None),
        ({"label": "a"}, None),
    ],
)
def test_what_no_classifier_answers_is_logged_as_json(answer: dict[str, Any], value: str | None) -> None:
    entry = answered(label="", probability=None, second_label=None, second_probability=None, output=answer)
    line = line_of(entry)
    assert line["value"] == value
    assert (line["second_label"], line["probability"]) == (None, None)


@pytest.mark.parametrize(
    ("settings", "record", "expected"),
    [
        ({}, {"text": "M. Dupont"}, (None, None)),
        ({"log_text": "redacted"}, {"text": "M. Dupont"}, ({"text": "M. [nom]"}, RULES_VERSION)),
        ({"log_text": "full"}, {"text": "M. Dupont"}, ({"text": "M. Dupont"}, None)),
        ({"log_text": "full"}, TABLE, (None, None)),
        ({}, TEXTS, (None, None)),
        ({"log_text": "redacted"}, TEXTS, ({"subject": "M. [nom]", "body": "Mme [nom] est là"}, RULES_VERSION)),
        ({"log_text": "redacted", "log_column": "body"}, TEXTS, ({"body": "Mme [nom] est là"}, RULES_VERSION)),
        ({"log_column": "age, title"}, TABLE, ({"age": 41}, None)),
        ({"log_column": "age,title", "log_text": "redacted"}, TABLE, ({"age": 41, "title": "M. [nom]"}, RULES_VERSION)),
        ({"log_column": "age,score", "log_text": "redacted"}, TABLE, ({"age": 41, "score": None}, None)),
        ({"log_column": "title", "log_text": "full"}, TABLE, ({"title": "M. Dupont"}, None)),
        ({"log_column": "other", "log_text": "full"}, TABLE, (None, None)),
    ],
)
def test_texts_are_off_by_default_and_tables_are_logged_by_column(settings: Any, record: Any, expected: Any) -> None:
    assert kept(record, **settings) == expected


def test_a_long_text_is_cut_between_two_words() -> None:
    fields, _ = kept({"text": "mot " * MOST_CHARACTERS + "fin"}, log_text="full")
    assert len(fields["text"]) <= MOST_CHARACTERS + 2
    assert fields["text"].endswith("mot …")
    fields, _ = kept({"text": "x" * 2 * MOST_CHARACTERS}, log_text="full")
    assert fields["text"] == "x" * MOST_CHARACTERS + " …"


def test_the_time_is_that_of_the_id() -> None:
    entry = answered(prediction_id=new_prediction_id("9f86d081", 1_790_078_400.007))
    line = line_of(entry)
    assert line["at"] == "2026-09-22T12:00:00.007+00:00"


def test_a_model_without_probabilities_has_no_second_label() -> None:
    entry = answered(probability=None, second_label=None, second_probability=None, output={"label": "a", "probability": None, "top": []})
    line = line_of(entry)
    assert [line[name] for name in ("probability", "second_label", "second_probability", "value")] == [None] * 4


FEEDBACK = LoggedFeedback("id", "at", "m", "key", "b", "", comment="M. Dupont a écrit", fields={"text": "M. Dupont"}, record_digest=None)


@pytest.mark.parametrize(
    ("text", "comment", "fields", "redaction"),
    [
        ("off", None, None, None),
        ("redacted", "M. [nom] a écrit", {"text": "M. [nom]"}, RULES_VERSION),
        ("full", "M. Dupont a écrit", {"text": "M. Dupont"}, None),
    ],
)
def test_feedback_is_kept_under_the_same_rules(text: str, comment: Any, fields: Any, redaction: Any) -> None:
    line = json.loads(LoggedContent(rules_of(LogSettings.read({}, log_text=text, log_digest_key="k"))).feedback(FEEDBACK))
    assert (line["comment"], line["fields"], line["redaction"]) == (comment, fields, redaction)
    assert line["record_digest"] == record_digest({"text": "M. Dupont"}, b"k")


def test_the_digest_is_of_the_record_that_was_sent_and_needs_the_key() -> None:
    digest = record_digest({"b": 1, "a": "é"}, b"k")
    assert digest == record_digest({"a": "é", "b": 1, "c": None}, b"k")
    assert digest != record_digest({"a": "e", "b": 1}, b"k")
    assert digest != record_digest({"a": "é", "b": 1}, b"other")
    assert record_digest({"a": 2**70}, b"k") != record_digest({"a": 2**71}, b"k")
    assert record_digest({"a": "é"}, b"") is None
    line = line_of(answered(), log_digest_key="k", log_text="redacted")
    assert line["record_digest"] == record_digest(answered().record, b"k")


@pytest.mark.parametrize("length", [1, 63, 64, 65, 200])
def test_the_digest_is_an_hmac(length: int) -> None:
    key = bytes(range(1, length + 1))
    for text in ("", "é", "mot " * 1_000):
        assert record_digest({"text": text}, key) == hmac.digest(key, f'{{"text":"{text}"}}'.encode(), "sha256").hex()


FULL = {"PASSERELLE_PREDICTION_LOG": "log", "PASSERELLE_LOG_TEXT": "full", "PASSERELLE_ENVIRONMENT": "production"}


def test_production_logs_full_texts_only_with_a_reason() -> None:
    for reason in ({}, {"PASSERELLE_LOG_TEXT_REASON": "  "}):
        with pytest.raises(SettingsError, match="PASSERELLE_LOG_TEXT_REASON"):
            check_log(FULL | reason)
    for other in (
        {"PASSERELLE_ENVIRONMENT": "development"},
        {"PASSERELLE_LOG_TEXT_REASON": "annotation until June"},
        {"PASSERELLE_LOG_TEXT": "redacted"},
        {"PASSERELLE_PREDICTION_LOG": ""},
    ):
        check_log(FULL | other)


def test_the_key_of_the_digests_may_be_in_a_file(tmp_path: Any) -> None:
    (tmp_path / "key").write_text("k\n")
    assert digest_key(LogSettings.read({}, log_digest_key_file=tmp_path / "key")) == b"k"
    assert digest_key(LogSettings.read({})) == b""
    with pytest.raises(SettingsError, match="cannot be read"):
        check_log({"PASSERELLE_LOG_DIGEST_KEY_FILE": str(tmp_path / "missing")})


@pytest.mark.parametrize("text", ["", " ", "mot", " deux mots ", "deux  mots", "trois\u00a0mots\nici", "un, deux… trois", " a", "a "])
def test_words_are_what_is_between_white_space(text: str) -> None:
    line = line_of(answered(record={"text": text, "title": text}))
    assert line["words"] == 2 * len(text.split())
