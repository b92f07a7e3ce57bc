"""The figures that people read, from the text of /metrics."""

from __future__ import annotations

import pytest

from passerelle.monitoring.figures import read_figures

TEXT = """
passerelle_model_load_seconds{model_version="7"} 0.5
passerelle_requests_total{route="/classify",status="422"} 2.0
passerelle_requests_total{route="/classify",status="200"} 6.0
passerelle_requests_total{route="/classify/batch",status="200"} 2.0
passerelle_requests_total{route="/metrics",status="200"} 90.0
passerelle_requests_total{route="golden",status="200"} 24.0
passerelle_predictions_total{label="voirie",model_version="6"} 1.0
passerelle_predictions_total{label="voirie",model_version="7"} 2.0
passerelle_predictions_total{label="merci",model_version="7"} 5.0
passerelle_reviews_total{model_version="7"} 2.0
passerelle_request_duration_seconds_bucket{route="/classify",le="0.001"} 4.0
passerelle_request_duration_seconds_bucket{route="/classify",le="0.003"} 8.0
passerelle_request_duration_seconds_bucket{route="/classify",le="+Inf"} 8.0
passerelle_request_duration_seconds_bucket{route="/classify/batch",le="0.001"} 0.0
passerelle_request_duration_seconds_bucket{route="/classify/batch",le="0.003"} 1.0
passerelle_request_duration_seconds_bucket{route="/classify/batch",le="+Inf"} 2.0
passerelle_request_duration_seconds_bucket{route="/metrics",le="0.001"} 90.0
passerelle_request_duration_seconds_bucket{route="/metrics",le="+Inf"} 90.0
"""


def test_requests_records_and_reviews_are_added_up_over_routes_and_versions() -> None:
    found = read_figures(TEXT, address="http://there")
    assert (found.address, found.model_version) == ("http://there", "7")
    assert found.requests == {"200": 8, "422": 2}
    assert list(found.predictions.items()) == [("merci", 5), ("voirie", 3)]
    assert found.review_share == pytest.approx(2 / 8)
    assert found.golden_replays == 24


def test_quantiles_are_linear_within_their_bucket_and_end_at_the_last_limit() -> None:
    found = read_figures(TEXT, address="")
    # 10 requests: 4 up to 1 ms, 5 up to 3 ms, 1 above.
    assert found.latency_p50_ms == pytest.approx(1 + 2 * (5 - 4) / 5)
    assert found.latency_p95_ms == pytest.approx(3)


def test_before_the_first_request_there_are_none() -> None:
    found = read_figures("", address="")
    assert (found.latency_p50_ms, found.latency_p95_ms, found.review_share, found.model_version) == (None, None, None, None)
    assert (found.requests, found.predictions) == ({}, {})
