"""A signature may let a field be left out, and the model still need it: 422 for that record, and no other record suffers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from functools import cache

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeClassifier

from tests.unit.serving.hostile_bodies import JSON_TYPE, Answer, bodies, messages, send_raw
from tests.unit.serving.models import text_pipeline, text_table, write_bento_model
from tests.unit.serving.test_body_fuzz import GOOD, PATHS, Service, held, service
from training.candidates import text_candidates

EMPTY = (b"{}", b'{"text": null}')


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("compiled") / "model"
    with service(write_bento_model(folder, text_pipeline(), text_table()[0], required=False)) as running:
        assert running.runtime.ready().scorer is not None
        yield running


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A model that is not compiled: its vectorizer says AttributeError of what is no text."""
    records, labels = text_table()
    words = ColumnTransformer([("words", TfidfVectorizer(), "text")])
    pipeline = Pipeline([("words", words), ("tree", DecisionTreeClassifier(random_state=0))]).fit(records, labels)
    folder = tmp_path_factory.mktemp("behind") / "model"
    with service(write_bento_model(folder, pipeline, records, required=False)) as running:
        assert running.runtime.ready().scorer is None
        yield running


@cache
def learned() -> tuple[Pipeline, pd.DataFrame]:
    """Return a candidate that learned from a subject and a body, which half of the records lack, and these records."""
    texts, labels = text_table()
    records = pd.DataFrame({"subject": texts["text"], "body": ["", "bonjour"] * (len(texts) // 2)})
    candidate = next(each for each in text_candidates(("subject", "body")) if each.name == "mixed_lr")
    return candidate.pipeline.fit(records, labels), records


@pytest.fixture(scope="module")
def two_texts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    pipeline, records = learned()
    folder = tmp_path_factory.mktemp("two") / "model"
    with service(write_bento_model(folder, pipeline, records, optional_texts=["body"])) as running:
        assert running.runtime.ready().scorer is not None
        yield running


@pytest.mark.parametrize("rest", ["", ', "body": null', ', "body": ""', ', "body": " "'])
def test_a_text_that_may_be_left_out_is_the_empty_text_that_training_saw(two_texts: Service, rest: str) -> None:
    record = f'{{"subject": "un grand merci"{rest}}}'
    probability = learned()[0].predict_proba(pd.DataFrame({"subject": ["un grand merci"], "body": [""]})).max()
    answer = json.loads(two_texts.post(record.encode()).body)
    assert (answer["label"], answer["probability"]) == ("merci", pytest.approx(probability))
    several = json.loads(two_texts.post(b'{"records": [%s]}' % record.encode(), PATHS[1]).body)
    assert several["predictions"][0]["probability"] == pytest.approx(probability)


def test_the_other_text_is_required(two_texts: Service) -> None:
    for record in (b'{"body": "bonjour"}', b'{"subject": "", "body": "bonjour"}', b'{"subject": "merci", "body": 1}'):
        assert told(two_texts.post(record))[:2] == (422, "invalid_record")
    described = two_texts.runtime.contract.record.model_json_schema()
    assert (described["required"], described["properties"]["body"]["default"]) == (["subject"], "")


def told(answer: Answer) -> tuple[int, str | None, str | None]:
    content = json.loads(answer.body)
    return answer.status, content.get("code"), content.get("field")


@pytest.mark.parametrize("body", EMPTY)
def test_a_text_that_is_left_out_is_named(compiled: Service, body: bytes) -> None:
    assert told(compiled.post(body)) == (422, "invalid_record", "text")
    batch = b'{"records": [{"text": "merci"}, ' + body + b"]}"
    assert told(compiled.post(batch, PATHS[1])) == (422, "invalid_record", "records.1.text")


@pytest.mark.parametrize("body", EMPTY)
def test_what_a_pipeline_cannot_take_is_refused(behind: Service, body: bytes) -> None:
    assert told(behind.post(body))[:2] == (422, "invalid_record")
    assert told(behind.post(b'{"records": [' + body + b"]}", PATHS[1]))[:2] == (422, "invalid_record")


def test_the_records_of_others_are_answered(behind: Service) -> None:
    sent = [GOOD[0], b"{}", GOOD[1], b'{"text": null}', GOOD[0]]

    async def together() -> list[Answer]:
        return await asyncio.gather(*(send_raw(behind.app, PATHS[0], messages(body, []), [JSON_TYPE]) for body in sent))

    assert [answer.status for answer in behind.runner.run(together())] == [200, 422, 200, 422, 200]


def outcome(answer: Answer, body: bytes) -> None:
    held(answer, body)
    assert answer.status != 500


@given(body=st.one_of(st.sampled_from(EMPTY), bodies((*GOOD, *EMPTY))), path=st.sampled_from(PATHS))
def test_any_body_is_answered_or_refused_when_no_field_is_required(compiled: Service, behind: Service, body: bytes, path: str) -> None:
    outcome(compiled.post(body, path), body)
    outcome(behind.post(body, path), body)
