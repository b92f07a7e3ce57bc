"""Files that are edited while something runs: none makes its reader wait, fills the memory, or ends it."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from passerelle.errors import OutsideError, PasserelleError, SettingsError, UsageError
from passerelle.follow_settings import FollowSettings
from passerelle.log_settings import LogSettings, digest_key
from passerelle.platform import seaweed
from passerelle.platform.kept_ports import ports_in
from passerelle.platform.private_file import private_key
from passerelle.platform.state import running
from passerelle.project.manifest import FILE as MANIFEST
from passerelle.project.manifest import read_manifest
from passerelle.project_file import FILE, read_project_file
from passerelle.regular_file import MOST_BYTES, MOST_MODEL_BYTES, read_json_file, read_regular_file
from passerelle.rollout.service_state import running_service, state_path
from passerelle.serving.following.credentials import request_headers
from passerelle.serving.following.webhook import read_secret


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_folder(path: Path) -> None:
    path.mkdir()


def too_much(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(MOST_BYTES + 1)


def no_text(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00")


def deep(path: Path) -> None:
    path.write_text("[" * 100_000)


WRONG = (a_pipe, a_folder, too_much, no_text, deep)


@pytest.mark.parametrize(("make", "why"), [(a_pipe, "not a regular file"), (a_folder, "Is a directory"), (too_much, "more than")])
def test_what_is_no_small_regular_file_is_refused(tmp_path: Path, make: Callable[[Path], None], why: str) -> None:
    make(path := tmp_path / "file")
    with pytest.raises(OSError, match=why):
        read_regular_file(path)


def test_a_file_of_the_largest_size_is_read(tmp_path: Path) -> None:
    (path := tmp_path / "file").write_bytes(b"0" * MOST_BYTES)
    assert len(read_regular_file(path)) == MOST_BYTES


def test_a_small_file_takes_no_room_for_a_large_one(tmp_path: Path) -> None:
    (path := tmp_path / "file").write_bytes(b"0" * 1000)
    tracemalloc.start()
    try:
        assert len(read_regular_file(path, MOST_MODEL_BYTES)) == 1000
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()


def test_a_file_of_unknown_size_is_read() -> None:
    assert read_regular_file(Path("/proc/self/status")).startswith(b"Name:")


def test_json_that_is_nested_too_deep_is_a_wrong_value(tmp_path: Path) -> None:
    deep(path := tmp_path / "file")
    with pytest.raises(ValueError, match="nested too deep"):
        read_json_file(path)


@pytest.mark.parametrize("make", WRONG)
def test_each_reader_of_such_a_file_says_so_or_does_without_it(tmp_path: Path, make: Callable[[Path], None]) -> None:
    def at(*parts: str) -> Path:
        path = tmp_path.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        make(path)
        return path

    make(state := state_path_of(tmp_path))
    assert running_service(tmp_path, "model") is None
    assert state.exists()
    at("platform", "platform.json")
    assert running(tmp_path) is None
    assert ports_in(at("ports.json")) == {}
    credentials = FollowSettings(follow_username="reader", follow_password_file=at("password"))
    assert set(request_headers(credentials)) == {"authorization"}
    refused: list[tuple[Callable[[], object], type[PasserelleError]]] = [
        (lambda: private_key(at("key")), OutsideError),
        (lambda: read_project_file(at("project", FILE).parent), UsageError),
        (lambda: read_manifest(at("written", MANIFEST).parent), UsageError),
    ]
    if make in (a_pipe, a_folder, too_much):
        refused += [
            (lambda: read_secret(at("webhook")), SettingsError),
            (lambda: digest_key(LogSettings(log_digest_key_file=at("digest"))), SettingsError),
        ]
    for read, error in refused:
        with pytest.raises(error):
            read()


def state_path_of(folder: Path) -> Path:
    path = state_path(folder, "model")
    path.parent.mkdir(parents=True)
    return path


@pytest.mark.parametrize("content", ["[]", '{"access_key_id": 1}', "not JSON", "[1, 2]"])
def test_s3_keys_that_were_damaged_are_made_again(tmp_path: Path, content: str) -> None:
    (tmp_path / "s3-keys.json").write_text(content)
    assert seaweed.keys(tmp_path) == seaweed.keys(tmp_path)


@pytest.mark.parametrize(
    "mark", ['{"pid": "1", "started": 0}', '{"pid": 0, "started": 0}', '{"pid": true, "started": 0}', '{"pid": 1, "started": "now"}']
)
def test_a_state_file_with_a_wrong_process_names_no_service(tmp_path: Path, mark: str) -> None:
    state_path_of(tmp_path).write_text(
        f'{{"address": "", "bento_tag": "", "model_version": "1", "registered_model": "model", "mark": {mark}}}'
    )
    assert running_service(tmp_path, "model") is None
