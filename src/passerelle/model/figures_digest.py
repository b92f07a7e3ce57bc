"""The digest of a candidate's figures: training logs it as a parameter, which MLflow lets nobody change, unlike the figures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

_PREFIXES = ("cv_", "test_")
_OTHERS = frozenset({"latency_p50_ms", "latency_p95_ms", "fit_seconds", "size_bytes"})


def figures_digest(metrics: Mapping[str, float]) -> str:
    """Return SHA-256 of the figures that passerelle measures; other metrics of a run are left out."""
    own = {name: float(value) for name, value in metrics.items() if name.startswith(_PREFIXES) or name in _OTHERS}
    return "sha256:" + hashlib.sha256(json.dumps(own, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
