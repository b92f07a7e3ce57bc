"""Each registered model has a service of its own: known, asked about and given a port by its name."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from passerelle.errors import SeveralModelsError
from passerelle.platform.state import ProcessMark
from passerelle.rollout import local
from passerelle.rollout.service_ports import service_port
from passerelle.rollout.service_state import (
    RunningService,
    chosen_service,
    forget,
    is_recorded,
    remember,
    running_service,
    running_services,
    state_path,
)

HERE = ProcessMark.of(os.getpid())
THEMES = RunningService("http://127.0.0.1:1", "themes:2-bbbb2222#3", "2", HERE, "Themes", "up")
COMMENTS = replace(THEMES, bento_tag="comments:1-aaaa1111", registered_model="comments")


def test_each_model_has_its_own_service(tmp_path: Path) -> None:
    assert chosen_service(tmp_path, None) is None
    remember(tmp_path, THEMES)
    assert (chosen_service(tmp_path, None), THEMES.tag) == (THEMES, "themes:2-bbbb2222")
    remember(tmp_path, COMMENTS)
    assert running_services(tmp_path) == {"Themes": THEMES, "comments": COMMENTS}
    assert chosen_service(tmp_path, "comments") == COMMENTS
    with pytest.raises(SeveralModelsError, match="several models are served here: comments, Themes; --model says which") as question:
        chosen_service(tmp_path, None)
    assert question.value.registered_models == ("comments", "Themes")
    forget(tmp_path, COMMENTS)
    assert running_service(tmp_path, "Themes") == THEMES
    assert running_service(tmp_path, "comments") is None


def test_one_that_was_replaced_is_forgotten_by_nobody_but_its_successor(tmp_path: Path) -> None:
    successor = replace(THEMES, mark=replace(HERE, pid=2**22 + 1), started_by="deploy")
    remember(tmp_path, successor)
    forget(tmp_path, THEMES)
    assert is_recorded(tmp_path, "Themes", successor.mark.pid)
    assert not is_recorded(tmp_path, "Themes", HERE.pid)
    assert running_services(tmp_path) == {}, "its process has ended"
    state_path(tmp_path, "Themes").write_text("{")
    assert running_service(tmp_path, "Themes") is None


def test_a_service_gets_the_port_before_and_one_that_replaces_it_the_second(tmp_path: Path) -> None:
    first = service_port(tmp_path, "Themes")
    assert service_port(tmp_path, "Themes") == first != service_port(tmp_path, "comments")
    remember(tmp_path, replace(THEMES, address=f"http://127.0.0.1:{first}"))
    second = service_port(tmp_path, "Themes")
    assert second != first
    remember(tmp_path, replace(THEMES, address=f"http://127.0.0.1:{second}"))
    assert service_port(tmp_path, "Themes") == first


def test_a_service_that_ends_while_it_is_to_be_ended_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = replace(THEMES, mark=replace(HERE, pid=2**22 + 1))  # no process has this number
    remember(tmp_path, gone)
    monkeypatch.setattr(local, "running_service", lambda *_: gone)
    assert local.stop(tmp_path, "Themes") == gone
    assert not state_path(tmp_path, "Themes").exists()
