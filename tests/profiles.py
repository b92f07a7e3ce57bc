"""How many examples Hypothesis draws: each run the same few; `make fuzz` many others."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("small", max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
settings.register_profile("fuzz", settings.get_profile("small"), max_examples=2_000, derandomize=False)
settings.load_profile("small")
