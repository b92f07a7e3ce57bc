"""Feedback to a real service: none that is accepted is lost, and a correction ends in the training data of a new version."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from pathlib import Path

import httpx
import pytest

from passerelle.criteria import Criteria
from passerelle.model.prediction_id import new_prediction_id
from passerelle.names import DATA_EXPORT, DATA_EXPORT_FILE
from passerelle.platform.state import RunningPlatform
from passerelle.registry.client import Registry
from passerelle.settings import MlflowSettings
from passerelle.stages import feedback
from passerelle.stages.context import context_of
from passerelle.stages.register import register
from passerelle.training.dataset import read_data
from passerelle.training.feedback_table import ids_digest
from passerelle.training.params import Params
from passerelle.training.train import train
from tests.service_fixtures import ServedModel, serve
from tests.unit.serving.models import LABELS, TEXTS
from training.candidates import text_candidates

pytestmark = pytest.mark.integration
ROUNDS = 5
FLOOD, CONNECTIONS = 1_000, 50


def corrected(service: ServedModel) -> list[str]:
    """Send records, correct the answers, and return their ids; each correction is sent twice."""
    ids = []
    with httpx.Client(base_url=service.address) as client:
        for number in range(ROUNDS):
            for text, label in zip(TEXTS, LABELS, strict=True):
                answer = client.post("/classify", json={"text": f"{text} {number}"}).json()
                content = {"prediction_id": answer["prediction_id"], "label": label, "by": "agent-1"}
                for _ in range(2):
                    assert client.post("/feedback", json=content).status_code == 202
                ids.append(answer["prediction_id"])
    return ids


async def flood(service: ServedModel) -> int:
    """Send feedback about unknown answers over many connections, and return how many were accepted; any other gets 503."""
    statuses: Counter[int] = Counter()

    async def send(client: httpx.AsyncClient) -> None:
        for _ in range(FLOOD // CONNECTIONS):
            content = {"prediction_id": new_prediction_id("00000000"), "label": LABELS[0], "by": "flood"}
            answer = await client.post("/feedback", json=content)
            statuses[answer.status_code] += 1
            assert answer.status_code == 202 or answer.headers["retry-after"]

    async with httpx.AsyncClient(base_url=service.address, timeout=60) as client:
        await asyncio.gather(*(send(client) for _ in range(CONNECTIONS)))
    assert set(statuses) <= {202, 503}
    return statuses[202]


def test_a_correction_ends_in_the_training_data_of_a_new_version(
    platform: RunningPlatform, plain_environment: None, bentoml_home: Path, tmp_path: Path
) -> None:
    log = {"prediction_log": str(tmp_path / "log"), "log_text": "full", "log_queue": "200"}
    with serve(bentoml_home, **log) as service:
        ids = corrected(service)
        accepted = asyncio.run(flood(service))
    name = f"test-{uuid.uuid4().hex[:8]}"
    registry = Registry(MlflowSettings.read(tracking_uri=platform.tracking_uri, experiment=name, registered_model=name), platform.s3)
    context = context_of({f"PASSERELLE_{name.upper()}": value for name, value in log.items()} | {"PASSERELLE_STATE_DIR": str(tmp_path)})
    # The service has ended: what it accepted is on the disk.
    done = feedback.export(context, tmp_path / "corrections.csv")
    assert (done.rows, done.columns) == (len(ids), ("text",))
    assert (done.feedback, done.unknown) == (len(ids) + accepted, accepted)

    data = read_data(done.path, text_column="text", label_column="label")
    assert sorted(data.records["text"]) == sorted(f"{text} {number}" for text in TEXTS for number in range(ROUNDS))
    quick = [each for each in text_candidates(seed=0) if each.name == "word_lr"]
    result = train(
        data,
        tracking_uri=registry.settings.tracking_uri,
        experiment=registry.settings.experiment,
        candidates=quick,
        params=Params(folds=2, near_duplicate_similarity=1.0),
    )
    made = register(registry, run_id=result.candidates[0].run_id, criteria=Criteria())
    assert data.export is not None
    assert made.tags[DATA_EXPORT] == data.export.ids_digest == ids_digest(ids)
    assert registry.read_json(result.parent_run_id, DATA_EXPORT_FILE)["file_digest"] == data.export.file_digest
