"""Fixtures of all tests."""

from __future__ import annotations

from tests.platform_fixtures import given_environment, plain_environment, platform, registered, trained

__all__ = ["given_environment", "plain_environment", "platform", "registered", "trained"]
