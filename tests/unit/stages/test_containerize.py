"""What `containerize` refuses before it builds."""

from __future__ import annotations

import pytest

from passerelle.bentos.image_platform import PLATFORMS, is_foreign
from passerelle.errors import UsageError
from passerelle.stages.containerize import ImageOptions, _check

FOREIGN = next(platform for platform in PLATFORMS if is_foreign(platform))


@pytest.mark.parametrize("name", [None, "passerelle/classification:1"])
def test_a_push_needs_a_registry_in_the_name(name: str | None) -> None:
    with pytest.raises(UsageError, match="names no registry to push to"):
        _check(ImageOptions(image_name=name), smoke=True, push=True)
    _check(ImageOptions(image_name="registry.example.org/classification:1"), smoke=True, push=True)


def test_the_golden_inputs_are_not_replayed_on_another_platform() -> None:
    with pytest.raises(UsageError, match="cannot replay the golden inputs") as found:
        _check(ImageOptions(platform=FOREIGN), smoke=True, push=False)
    assert found.value.hint == f"passerelle containerize --platform {FOREIGN} --no-smoke"
    _check(ImageOptions(platform=FOREIGN), smoke=False, push=False)
