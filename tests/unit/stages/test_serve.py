"""What `serve` answers with: the version in production, built first where the store lacks it, or the bento that is named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from passerelle.names import BentoTag
from passerelle.rollout import local
from passerelle.rollout.local import Deployment
from passerelle.stages import serve
from passerelle.stages.context import Context

BUILT, LATEST = BentoTag("comments", "2-aaaaaaaa"), BentoTag("comments", "1-bbbbbbbb")
CONTEXT = cast("Context", SimpleNamespace(store=None, state=SimpleNamespace(state_dir=Path()), environment={}))


class _EndsError(Exception):
    pass


@pytest.mark.parametrize(
    ("named", "built", "served"), [(None, BUILT, BUILT), (None, None, LATEST), (str(LATEST), BUILT, LATEST)], ids=["lacks", "has", "named"]
)
def test_the_version_in_production_is_built_first(
    monkeypatch: pytest.MonkeyPatch, named: str | None, built: BentoTag | None, served: BentoTag
) -> None:
    projects: list[Path] = []

    def build_production(_: object, project: Path, *__: object, **___: object) -> BentoTag | None:
        projects.append(project)
        return built

    @contextmanager
    def attached(tag: BentoTag, **_: object) -> Iterator[tuple[None, Deployment]]:
        yield None, Deployment("http://127.0.0.1:1", tag, None, 0.0, None, changed=True)

    def ready(deployment: Deployment) -> None:
        assert deployment.bento_tag == served
        raise _EndsError

    monkeypatch.setattr(serve, "build_production", build_production)
    monkeypatch.setattr(serve, "bento_to_serve", lambda *_, **__: LATEST)
    monkeypatch.setattr(serve, "check_promoted_here", lambda *_: None)
    monkeypatch.setattr(local, "attached", attached)
    with pytest.raises(_EndsError):
        serve.run(CONTEXT, named, project=Path("team"), on_ready=ready)
    assert projects == ([] if named else [Path("team")])
