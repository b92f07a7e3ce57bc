"""A namespace of the cluster serves one registered model: the roll-out of another one is refused before it begins."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from passerelle.errors import UsageError
from passerelle.names import BentoTag
from passerelle.rollout import kubernetes

RELEASE = cast("Any", SimpleNamespace(bento_tag=BentoTag("themes", "1-aaaa1111")))


def cluster(served: str | None) -> Any:
    annotations = {} if served is None else {"passerelle/bento-tag": served}
    deployment = {"spec": {"template": {"metadata": {"annotations": annotations}}}}
    return SimpleNamespace(namespace="passerelle-dev", deployment=lambda: deployment)


@pytest.mark.parametrize("served", [None, "themes:1-aaaa1111", "themes:7-bbbb2222"])
def test_a_newer_version_of_the_model_takes_the_place(served: str | None) -> None:
    assert kubernetes._former(cluster(served), RELEASE) is not None
    assert kubernetes._former(cast("Any", SimpleNamespace(deployment=lambda: None)), RELEASE) is None


def test_another_model_is_refused() -> None:
    with pytest.raises(
        UsageError, match="the namespace passerelle-dev serves comments, and an overlay serves one registered model"
    ) as refused:
        kubernetes._former(cluster("comments:1-aaaa1111"), RELEASE)
    assert refused.value.hint == "passerelle deploy themes:1-aaaa1111 --target kubernetes --overlay NAME"
