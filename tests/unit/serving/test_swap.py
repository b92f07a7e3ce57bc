"""Another model takes the place of the one that is served while requests are answered: each answer is of one model alone."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from passerelle.model.loaded import LoadedModel, load_model
from passerelle.serving.endpoint import ClassifyEndpoint
from passerelle.serving.pages.app import build_app
from passerelle.serving.runtime import Runtime
from passerelle.settings import ServiceSettings
from tests.unit.serving.hostile_bodies import JSON_TYPE, messages, send_raw
from tests.unit.serving.models import text_pipeline, text_table, write_bento_model

SINGLE, BATCH = ("/classify", b'{"text": "merci"}'), ("/classify/batch", json.dumps({"records": [{"text": "merci"}] * 80}).encode())
ROUNDS = 6


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return two models that differ in version, run, labels and probabilities."""
    records, labels = text_table()
    folder = tmp_path_factory.mktemp("models")
    first = write_bento_model(folder / "7", text_pipeline(), records)
    other = text_pipeline().fit(records, [f"autre {label}" for label in labels])
    return first, write_bento_model(folder / "8", other, records, version="8", run_id="f" * 32)


def served(folder: Path) -> tuple[Runtime, ClassifyEndpoint]:
    runtime = Runtime(folder, ServiceSettings.read(access_log=False, max_in_flight=64))
    runtime.load()
    return runtime, ClassifyEndpoint(build_app(runtime), runtime=runtime)


def of_one_model(answer: dict[str, Any], rows: dict[str, Any]) -> None:
    """Check that every part of an answer is that of the model whose version it names."""
    model = rows[answer["model_version"]]
    assert answer["prediction_id"].endswith(model["prefix"])
    assert (answer["label"], answer["probability"]) == (model["label"], model["probability"])
    assert {each["label"] for each in answer["top"]} == model["labels"]


def expected(model: LoadedModel) -> dict[str, Any]:
    answer = model.answer(model.rows([{"text": "merci"}])[0], review_threshold=0.0)
    return {"prefix": model.prediction_prefix, "label": answer.label, "probability": answer.probability, "labels": set(model.labels)}


@pytest.mark.parametrize("compiled", [True, False])
def test_an_answer_is_of_one_model_alone(models: tuple[Path, Path], *, compiled: bool) -> None:
    runtime, app = served(models[0])
    both = [runtime.ready(), load_model(models[1])]
    if not compiled:
        for model in both:
            object.__setattr__(model, "scorer", None)
    rows = {model.version: expected(model) for model in both}
    assert [row["label"] for row in rows.values()] == ["merci", "autre merci"]

    async def ask(turn: int, path: str, body: bytes) -> dict[str, Any]:
        # One after the other, so that the swaps come between them.
        for _ in range(turn):
            await asyncio.sleep(0)
        answer = await send_raw(app, path, messages(body, []), [JSON_TYPE])
        assert answer.status == 200, answer.body
        content: dict[str, Any] = json.loads(answer.body)
        return content

    async def swap() -> None:
        for turn in range(100):
            runtime.model = both[turn % 2]
            await asyncio.sleep(0)

    async def go() -> list[dict[str, Any]]:
        kinds = [SINGLE, BATCH, SINGLE] * ROUNDS
        swaps = asyncio.create_task(swap())
        answers = await asyncio.gather(*(ask(turn, *kind) for turn, kind in enumerate(kinds)))
        await swaps
        return answers

    versions = set()
    for answer in asyncio.run(go()):
        for each in answer.get("predictions", [answer]):
            of_one_model(each, rows)
            versions.add(each["model_version"])
    assert versions == set(rows)
