from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.follow.cases import CASES, Case
from tests.follow.fault_table import PAGE, carried_out, rows_of
from tests.follow.followed import Followed, followed


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Followed]:
    with followed(tmp_path_factory.mktemp("followed")) as running:
        yield running


@pytest.mark.integration
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.fault)
def test_no_request_notices(service: Followed, case: Case) -> None:
    row = carried_out(case, service)
    assert (row.failed, row.wrong) == (0, 0), row
    assert row.requests > 0


def test_the_page_has_a_row_for_each_case() -> None:
    assert rows_of(PAGE.read_text(encoding="utf-8")) == [(case.fault, case.does) for case in CASES]
