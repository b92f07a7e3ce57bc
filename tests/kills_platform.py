"""A platform with two trained candidates, outside of pytest."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from passerelle.platform.embedded import EmbeddedPlatform
from passerelle.registry.client import Registry
from passerelle.settings import MlflowSettings
from passerelle.training.dataset import Dataset, digest_of
from passerelle.training.train import train
from tests.platform_fixtures import COMMENTS
from training.candidates import text_candidates


@contextmanager
def trained_platform(folder: Path) -> Iterator[tuple[Registry, tuple[str, ...]]]:
    """Yield the registry of a platform, and the runs of two quick candidates."""
    comments = pd.read_csv(COMMENTS)
    few = comments[comments["label"].isin(comments["label"].value_counts().index[:3])].reset_index(drop=True)
    records, labels = few[["text"]], few["label"]
    data = Dataset(records=records, labels=labels, digest=digest_of(records, labels), source="few.csv", kind="text")
    quick = [each for each in text_candidates(seed=0) if each.name in {"word_lr", "mixed_lr"}]
    with EmbeddedPlatform(folder / "platform") as embedded:
        running = embedded.running
        os.environ.update(running.environment)
        result = train(data, tracking_uri=running.tracking_uri, experiment="kills", candidates=quick)
        settings = MlflowSettings.read(tracking_uri=running.tracking_uri, experiment="kills")
        yield Registry(settings, running.s3), tuple(each.run_id for each in result.candidates)
