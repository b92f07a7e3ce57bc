"""Fixtures of all tests."""

from __future__ import annotations

from tests.engine_fixtures import bento, engine
from tests.platform_fixtures import given_environment, plain_environment, platform, registered, trained
from tests.service_fixtures import bentoml_home, served

__all__ = ["bento", "bentoml_home", "engine", "given_environment", "plain_environment", "platform", "registered", "served", "trained"]
