"""The model that all servers answer with, and the texts that they are asked: made here, the same each time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bentoml
from bentoml._internal.models.model import ModelStore

from loadtests.scorer_rate import LENGTHS, frame, made_up
from passerelle.names import MODEL_FOLDER
from tests.unit.serving.models import write_bento_model
from training.candidates import text_candidates

CANDIDATE = "mixed_lr"
TEXTS = 3_000
_ASKED = 1_000


@dataclass(frozen=True)
class BenchModel:
    """A fitted pipeline, written as MLflow and as BentoML have it.

    Attributes:
        records: Different texts of about 450 characters, in an order that has no meaning.
    """

    folder: Path
    bentoml_home: Path
    mlflow_model: Path
    pipeline: Any
    records: Sequence[dict[str, str]]

    def bodies(self, name: str, body: Any) -> Path:
        """Write the bodies for wrk, one a line, and return the file."""
        path = self.folder / f"bodies-{name.replace(' ', '-')}.jsonl"
        path.write_text("".join(json.dumps(body(record), ensure_ascii=False) + "\n" for record in self.records), encoding="utf-8")
        return path


def make_model(folder: Path, number_of_texts: int = TEXTS) -> BenchModel:
    """Fit word and char_wb TF-IDF with logistic regression on made-up texts and write the model into this folder."""
    texts, labels = made_up(number_of_texts)
    [pipeline] = [candidate.pipeline for candidate in text_candidates() if candidate.name == CANDIDATE]
    pipeline.fit(frame(texts), labels)
    home = folder / "bentoml"
    (home / "models").mkdir(parents=True)
    # Version and run as write_bento_model says them: the service serves no other.
    with bentoml.models.create("classification:7-00000000", _model_store=ModelStore(home / "models")) as model:
        write_bento_model(Path(model.path), pipeline, frame(texts[:24]))
        path = Path(model.path)
    # The block moves it to its place in the store when it ends.
    [path] = [each.parent for each in home.glob(f"models/*/*/{MODEL_FOLDER}")]
    usual = [text for text in dict.fromkeys(texts) if LENGTHS[0] <= len(text) <= LENGTHS[1]][:_ASKED]
    return BenchModel(folder, home, path / MODEL_FOLDER, pipeline, [{"text": text} for text in usual])
