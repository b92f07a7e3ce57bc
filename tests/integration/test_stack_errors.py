"""What compose says when something fails, told with what to do about it; the engine here is a script."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from passerelle.errors import OutsideError
from passerelle.rollout import stack as module
from passerelle.rollout.stack import Stack

pytestmark = pytest.mark.integration


def fake_docker(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    (folder / "docker").write_text(f"#!/bin/bash\n{script}\n")
    (folder / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_a_full_volume_is_not_the_engines_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inspected = [{"Name": "/p-postgres-1", "Id": "c1", "Config": {"Labels": {"com.docker.compose.service": "postgres"}}}]
    script = (
        'case "$*" in *" up "*) echo "container p-postgres-1 is unhealthy" >&2; exit 1;; *"ps --all"*) echo c1;;\n'
        f"inspect*) echo '{json.dumps(inspected)}';; logs*) echo 'PANIC: No space left on device';; esac"
    )
    fake_docker(tmp_path / "bin", script, monkeypatch)
    with pytest.raises(OutsideError) as found:
        Stack(tmp_path).must("up", "--detach", of="starting the stack")
    assert "starting the stack failed" in found.value.message
    assert "postgres: PANIC: No space left on device" in found.value.message
    assert "the disk of" not in found.value.message


def test_the_engines_full_disk_is_told_with_commands_that_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_docker(tmp_path / "bin", 'echo "write /var/lib: no space left on device" >&2; exit 1', monkeypatch)
    with pytest.raises(OutsideError, match="the disk of docker is full") as found:
        Stack(tmp_path).must("up", "--detach", of="starting the stack")
    assert found.value.hint == "docker system df; docker builder prune"


def test_a_dump_that_does_not_end_is_an_error_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_docker(tmp_path / "bin", "exec sleep 30", monkeypatch)
    monkeypatch.setattr(module, "_TIMEOUT_S", 0.5)
    with pytest.raises(OutsideError, match="pg_dump did not end within"):
        Stack(tmp_path).pipe("exec", "-T", "postgres", "pg_dump")
