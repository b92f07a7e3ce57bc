"""Fixtures of all tests."""

from __future__ import annotations

import pytest

from tests.engine_fixtures import bento, engine
from tests.platform_fixtures import given_environment, plain_environment, platform, registered, trained
from tests.service_fixtures import bentoml_home, served

__all__ = ["bento", "bentoml_home", "engine", "given_environment", "plain_environment", "platform", "registered", "served", "trained"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests measured, whether they ran here or in another process."""
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.getreports(outcome)]
    figures = [str(value) for report in reports for name, value in getattr(report, "user_properties", ()) if name == "figure"]
    if figures:
        terminalreporter.section("figures")
        for figure in figures:
            terminalreporter.write_line(figure)
