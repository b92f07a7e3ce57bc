from __future__ import annotations

from collections.abc import Iterator

import pytest

from passerelle.model.prediction_id import run_prefix_of
from passerelle.names import ARTIFACT_DIGEST
from tests.follow.cases import CASES, Case
from tests.follow.fault_table import PAGE, carried_out, rows_of
from tests.follow.followed import Followed, followed, until
from tests.unit.monitoring.prediction_log.answers import lines_of

LOG = "predictions"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Followed]:
    folder = tmp_path_factory.mktemp("followed")
    with followed(folder, prediction_log=str(folder / LOG)) as running:
        yield running


@pytest.mark.integration
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.fault)
def test_no_request_notices(service: Followed, case: Case) -> None:
    row = carried_out(case, service)
    assert (row.failed, row.wrong) == (0, 0), row
    assert row.requests > 0


@pytest.mark.integration
def test_each_line_of_the_log_names_the_version_that_answered(service: Followed) -> None:
    log = service.folder / LOG
    # The lines of all cases before would take long to read; what comes from here on makes the folder anew.
    log.rename(log.with_name("former"))

    def versions() -> set[str]:
        return {line["model_version"] for line in lines_of(log)}

    until(lambda: str(service.wanted.version) in versions(), "lines of the version before", versions)
    service.promote(service.other())
    service.until_in_step()
    until(lambda: str(service.wanted.version) in versions(), "lines of the version after", versions)
    by_version = {ref: service.versions.registry.model_version(ref.registered_model, ref.version) for ref in service.others.values()}
    known = {str(ref.version): (info.tags[ARTIFACT_DIGEST], ref.run_id) for ref, info in by_version.items()}
    for line in lines_of(log):
        digest, run_id = known[line["model_version"]]
        assert line["artifact_digest"] == digest
        assert run_id.startswith(run_prefix_of(line["prediction_id"]))


def test_the_page_has_a_row_for_each_case() -> None:
    assert rows_of(PAGE.read_text(encoding="utf-8")) == [(case.fault, case.does) for case in CASES]
