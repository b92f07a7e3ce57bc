"""The metrics of a service stay small whatever its model answers."""

from __future__ import annotations

import pytest

from passerelle.monitoring import metrics as module
from passerelle.monitoring.metrics import OTHER_LABELS, Metrics


def test_labels_without_end_have_one_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_LABELS", 3)
    metrics = Metrics(None)
    for number in range(10):
        metrics.predicted(f"label {number}", "1")
        metrics.predicted("label 0", "1")
    samples = {
        sample.labels["label"]: sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == f"{module.PREDICTIONS}_total"
    }
    assert samples == {"label 0": 11, "label 1": 1, "label 2": 1, OTHER_LABELS: 7}
