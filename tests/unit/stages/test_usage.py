"""Options that make no sense together are refused from the options alone, with a command that can be typed."""

from __future__ import annotations

import pytest

from passerelle.errors import UsageError
from passerelle.stages.place import Place
from passerelle.stages.promote_options import PromoteOptions


@pytest.mark.parametrize(
    ("place", "hint"),
    [
        (Place(init=True), "passerelle deploy --target compose --init"),
        (Place("compose", stop=True), "passerelle deploy --target local --stop"),
        (Place("kubernetes", port=3000), "passerelle deploy --target local --port 3000"),
        (Place(overlay="production"), "passerelle deploy --target kubernetes --overlay production"),
        (Place("compose", image="a/b@sha256:0"), "passerelle deploy --target kubernetes --image a/b@sha256:0"),
    ],
)
def test_an_option_of_another_target_is_refused(place: Place, hint: str) -> None:
    with pytest.raises(UsageError, match=f"and the target is {place.target}") as refused:
        place.check()
    assert refused.value.hint == hint


@pytest.mark.parametrize(
    "options",
    [
        PromoteOptions(best=True, version=1),
        PromoteOptions(force=True),
        PromoteOptions(force=True, reason=" "),
        PromoteOptions(waive=("latency",)),
    ],
)
def test_a_promotion_that_lacks_its_reason_or_names_two_versions_is_refused(options: PromoteOptions) -> None:
    with pytest.raises(UsageError):
        options.check()


def test_what_makes_sense_passes() -> None:
    for place in (Place(port=3000), Place(stop=True), Place("compose", init=True), Place("kubernetes", overlay="production", image="a@b")):
        place.check()
    for options in (
        PromoteOptions(),
        PromoteOptions(best=True),
        PromoteOptions(version=1),
        PromoteOptions(force=True, waive=("latency",), reason="why"),
    ):
        options.check()
