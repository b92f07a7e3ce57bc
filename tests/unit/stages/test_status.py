"""What disagrees about a service whose address is known."""

from __future__ import annotations

import pytest

from passerelle.stages.status import Holdings, disagreements


@pytest.mark.parametrize(
    ("alias", "service", "silent", "said"),
    [
        (1, 1, None, None),
        (1, 2, None, "the service serves version 2, production is version 1"),
        (1, None, "does not answer", "version 1 is in production and the service at http://there does not answer"),
        (1, None, None, None),
        (None, None, "does not answer", None),
    ],
)
def test_one_that_is_silent_is_said_as_long_as_something_is_in_production(
    alias: int | None, service: int | None, silent: str | None, said: str | None
) -> None:
    stage = () if alias is None else (alias,)
    held = Holdings("m", alias, None, stage, alias, None, None, service, "http://there", service_silent=silent)
    assert [each.what for each in disagreements(held)] == ([] if said is None else [said])
