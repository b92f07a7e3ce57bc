"""The secrets of the stack: made once, refused when they cannot be used, never made anew under a volume."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from passerelle.errors import NotFoundError, SettingsError
from passerelle.rollout.secret_files import NAMES, VOLUMES, check_secrets, make_later_secrets, make_secrets, read_secret
from passerelle.rollout.stack import Stack


def volume(name: str) -> str:
    return f"passerelle_{VOLUMES[name]}"


@contextmanager
def closed(folder: Path) -> Iterator[None]:
    """Let this process have no right to the folder: root gives up being root for a while."""
    root = os.geteuid() == 0
    folder.chmod(0o700 if root else 0)
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o700)


@pytest.mark.parametrize("name", VOLUMES)
def test_one_that_a_volume_was_made_with_is_not_made_anew(tmp_path: Path, name: str) -> None:
    make_secrets(tmp_path)
    held = (tmp_path / name).read_text()
    (tmp_path / name).unlink()
    (tmp_path / "s3_prober").unlink()
    for refused in (make_secrets, check_secrets):
        with pytest.raises(NotFoundError, match=f"{name} is missing, and the volume passerelle_{VOLUMES[name]}") as found:
            refused(tmp_path, volume_of=volume)
        assert "down --volumes" in str(found.value.hint)
    assert not (tmp_path / "s3_prober").exists(), "all or nothing"
    (tmp_path / name).write_text("\n")
    with pytest.raises(NotFoundError, match=f"{name} is empty, and the volume"):
        check_secrets(tmp_path, volume_of=volume)
    (tmp_path / name).write_text(held)
    assert make_secrets(tmp_path, volume_of=volume) == ("s3_prober",)
    check_secrets(tmp_path, volume_of=volume)


def test_without_a_volume_it_is_made(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    (tmp_path / "postgres_password").unlink()
    with pytest.raises(NotFoundError, match="is missing") as found:
        check_secrets(tmp_path)
    assert "--init" in str(found.value.hint)
    assert make_secrets(tmp_path) == ("postgres_password",)


@pytest.mark.parametrize("later", ["s3_pruner", "log_digest_key", "postgres_airflow", "airflow_admin_password", "airflow_key"])
def test_a_stack_of_before_gets_the_secrets_that_came_later_and_keeps_them(later: str, tmp_path: Path) -> None:
    make_secrets(tmp_path)
    assert later in NAMES
    key = tmp_path / later
    key.unlink()
    check_secrets(tmp_path)
    assert make_later_secrets(tmp_path) == (later,)
    made = key.read_text()
    assert len(made) == 40
    assert oct(key.stat().st_mode & 0o777) == "0o444"
    assert (make_later_secrets(tmp_path), make_secrets(tmp_path), key.read_text()) == ((), (), made)
    key.chmod(0o600)
    key.write_text("")
    with pytest.raises(SettingsError, match=f"{later} is empty"):
        check_secrets(tmp_path)


def test_a_folder_of_somebody_else_is_said_in_one_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "deploy" / "secrets"
    make_secrets(folder)
    for above in (folder, *folder.parents):
        if above.is_relative_to(tmp_path.parents[2]):
            above.chmod(0o755)
    with closed(folder):
        for call in (check_secrets, make_secrets, make_later_secrets, lambda folder: read_secret(folder, "s3_prober")):
            with pytest.raises(SettingsError, match="is not this user's to read or write") as found:
                call(folder)
            assert "sudo chown" in str(found.value.hint)


def test_the_key_of_another_s3_is_held_to_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secrets").mkdir()
    make_secrets(tmp_path / "secrets")
    stack = Stack(tmp_path)
    stack.check_secrets()
    monkeypatch.setenv("S3_SECRET_FILE", "./secrets/s3_team")
    with pytest.raises(NotFoundError, match="s3_team is missing") as found:
        stack.check_secrets()
    assert "S3_SECRET_FILE" in str(found.value.message)
    key = tmp_path / "secrets" / "s3_team"
    key.write_text(" \n")
    with pytest.raises(SettingsError, match="s3_team is empty"):
        stack.check_secrets()
    key.write_text("of-the-team")
    stack.check_secrets()
