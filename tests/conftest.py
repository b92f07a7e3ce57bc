"""Fixtures of all tests."""

from __future__ import annotations

import gc
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import skops.io  # noqa: F401 - searches all modules that are there already for each function of NumPy and SciPy
from xdist.scheduler import LoadScopeScheduling

import tests.profiles  # noqa: F401 - sets the profile of Hypothesis
from tests.adopt_fixtures import adopting
from tests.airflow_fixtures import airflow
from tests.engine_fixtures import bento, engine
from tests.platform_fixtures import given_environment, plain_environment, platform, registered, trained
from tests.scorer_fixtures import scorer_python
from tests.service_fixtures import bentoml_home, served
from tests.signing_fixtures import ours, theirs
from tests.timing import CACHE_KEY, may_be_tried_again

__all__ = [
    "adopting", "airflow", "bento", "bentoml_home", "engine", "given_environment", "ours", "plain_environment", "platform", "registered",
    "scorer_python", "served", "theirs", "trained",
]  # fmt: skip


#: The longest begin first, so that none of them is left alone at the end.
LONGEST_FIRST = (
    "tests/stack/test_stack",
    "tests/cluster/",
    "tests/test_docs.py::test_every_command",
    "tests/integration/test_airflow.py::",
    "tests/follow/",
    "tests/stack/test_other_stacks.py::",
    "tests/e2e/test_nothing_undoes_a_decision.py::test_nothing_but",
    "tests/integration/test_gate.py::",
    "tests/integration/test_image.py::test_from_empty_caches",
    "tests/e2e/test_new_project.py::test_two_projects",
    "tests/training/test_train.py::",
    "tests/e2e/test_command_line.py::test_a_table_of_numbers",
    "tests/e2e/test_clients.py::",
    "tests/integration/test_door.py::test_of_two_at_once",
    "tests/integration/test_image_names.py::test_docker_without_buildx",
    "tests/integration/test_killed_replicas.py::test_no_answer_is_lost",
    "tests/integration/test_gate_files.py::test_one_flipped_byte",
    "tests/loadtests/test_bench.py::test_a_short_run",
    "tests/training/test_reference.py::",
    "tests/training/test_public_text.py::",
    "tests/integration/test_ways_to_log.py::",
    "tests/test_docs.py::test_the_ways_from",
    "tests/integration/test_ray.py::",
    "tests/integration/test_image_without_daemon.py::",
    "tests/e2e/test_contract_live.py::",
    "tests/integration/test_image_names.py::",
    "tests/integration/test_kills.py::",
    "tests/integration/test_mlflow_start.py::",
    "tests/integration/test_restore_steps.py::",
    "tests/e2e/test_nothing_undoes_a_decision.py::test_deploy_serves",
    "tests/integration/test_adopted_image.py::",
    "tests/e2e/test_production_of_others.py::",
)
#: The tests of each share a stack or a cluster; the first that a test's id begins with counts.
TOGETHER = ("tests/stack/test_other_stacks.py", "tests/stack/", "tests/cluster/", "tests/follow/")


@cache
def shares_a_fixture(file: str) -> bool:
    """Return whether the tests of a file share something that takes long to make."""
    return not file.startswith("tests/unit/") and 'scope="module"' in (Path(__file__).parents[1] / file).read_text()


class OneProcessAFolder(LoadScopeScheduling):  # type: ignore[misc]
    """Gives all tests that share a stack, a cluster or a fixture of their file to one process; any other test to whichever is free.

    That is what `xdist_group` is for; with this version of pytest the mark has no effect.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((folder for folder in TOGETHER if nodeid.startswith(folder)), file if shares_a_fixture(file) else nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneProcessAFolder:
    """Distribute the tests as above, in the order that they stand in."""
    config.option.loadscopereorder = False
    return OneProcessAFolder(config, log)


def pytest_collection_finish() -> None:
    """Look for no garbage among what the modules hold, which stays until the end."""
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest tests in front, in the order above; the order of the rest stays."""
    ends = len(LONGEST_FIRST)
    items.sort(key=lambda item: next((place for place, name in enumerate(LONGEST_FIRST) if item.nodeid.startswith(name)), ends))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config) -> None:
    """Print what tests measured, whether they ran here or in another process, and note which failures may be tried again."""
    if getattr(config, "cache", None) is not None:
        failed = [report for outcome in ("failed", "error") for report in terminalreporter.getreports(outcome)]
        config.cache.set(CACHE_KEY, may_be_tried_again(failed, exitstatus))
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.getreports(outcome)]
    figures = [str(value) for report in reports for name, value in getattr(report, "user_properties", ()) if name == "figure"]
    if figures:
        terminalreporter.section("figures")
        for figure in figures:
            terminalreporter.write_line(figure)
