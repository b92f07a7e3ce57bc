"""Fixtures of all tests."""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

import tests.profiles  # noqa: F401 - sets the profile of Hypothesis
from tests.engine_fixtures import bento, engine
from tests.platform_fixtures import given_environment, plain_environment, platform, registered, trained
from tests.scorer_fixtures import scorer_python
from tests.service_fixtures import bentoml_home, served
from tests.signing_fixtures import ours, theirs
from tests.timing import CACHE_KEY, may_be_tried_again

__all__ = [
    "bento", "bentoml_home", "engine", "given_environment", "ours", "plain_environment", "platform", "registered", "scorer_python",
    "served", "theirs", "trained",
]  # fmt: skip


#: The longest of those that share nothing begin first, so that none of them is left alone at the end.
LONGEST_FIRST = (
    "tests/test_docs.py::test_every_command",
    "tests/e2e/test_command_line.py::test_a_table_of_numbers",
    "tests/integration/test_image.py::test_from_empty_caches",
    "tests/integration/test_killed_replicas.py::test_no_answer_is_lost",
    "tests/loadtests/test_bench.py::test_a_short_run",
)


class OneProcessAFolder(LoadScopeScheduling):  # type: ignore[misc]
    """Gives all tests that share one stack, or one cluster, to one process, the longest first; any other test to whichever is free.

    That is what `xdist_group` is for; with this version of pytest the mark has no effect.
    """

    def _split_scope(self, nodeid: str) -> str:
        return next((folder for folder in ("tests/stack/", "tests/cluster/", "tests/follow/") if nodeid.startswith(folder)), nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneProcessAFolder:
    """Distribute the tests as above."""
    return OneProcessAFolder(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest tests in front; the order of the rest stays."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST_FIRST))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config) -> None:
    """Print what tests measured, whether they ran here or in another process, and note which failures may be tried again."""
    if config.cache is not None:
        failed = [report for outcome in ("failed", "error") for report in terminalreporter.getreports(outcome)]
        config.cache.set(CACHE_KEY, may_be_tried_again(failed, exitstatus))
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.getreports(outcome)]
    figures = [str(value) for report in reports for name, value in getattr(report, "user_properties", ()) if name == "figure"]
    if figures:
        terminalreporter.section("figures")
        for figure in figures:
            terminalreporter.write_line(figure)
