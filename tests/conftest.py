"""Fixtures of all tests."""

from __future__ import annotations

from tests.platform_fixtures import given_environment, plain_environment, platform, registered, trained
from tests.service_fixtures import bentoml_home, served

__all__ = ["bentoml_home", "given_environment", "plain_environment", "platform", "registered", "served", "trained"]
