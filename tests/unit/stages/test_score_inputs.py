"""What --input names is read whole and once, or refused: no table is left out without a word."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from passerelle.errors import DataError
from passerelle.registry.table_bucket import TableBucket, TableObject
from passerelle.settings import S3Settings
from passerelle.stages.score_inputs import table_files

S3 = S3Settings.model_construct(bucket="b")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in" / "2025").mkdir(parents=True)
    (tmp_path / "in" / "2025" / "a.csv").write_text("text\nmerci\n")
    return tmp_path / "in"


def names(*inputs: object) -> list[str]:
    return [file.name for file in table_files([str(each) for each in inputs], S3)]


def test_a_file_with_several_names_is_read_once(folder: Path) -> None:
    (folder / "b.csv").symlink_to(folder / "2025" / "a.csv")
    once = [f"{folder}/2025/a.csv"]
    assert names(folder) == names(folder, folder / "2025", f"{folder}/*.csv", f"{folder}/2025/*") == once
    assert len(names(folder, folder / "2025" / os.pardir / "2025")) == 1


def test_folders_behind_links_are_read_and_circles_end(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "c.csv").write_text("text\nmerci\n")
    (folder / "2024").symlink_to(tmp_path / "elsewhere")
    (folder / "2025" / "up").symlink_to(folder)
    assert names(folder) == [f"{folder}/2024/c.csv", f"{folder}/2025/a.csv"]


def test_what_cannot_be_read_is_not_left_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "gone.csv").symlink_to(folder / "nowhere")
    with pytest.raises(DataError, match=r"gone\.csv cannot be read: No such file"):
        names(folder)
    (folder / "gone.csv").unlink()
    scandir = os.scandir

    def refused(path: str) -> object:
        if path.endswith("2025"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(DataError, match=r"in/2025 cannot be read: Permission denied"):
        names(folder)


def test_keys_that_look_like_patterns_or_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = ("in/[1].csv", "in/a.csv/", "in/a.csv/part.csv", "in/%2e%2e/b.csv", "in/%2F?.csv", "in//c\n.csv")

    def objects(_: TableBucket, prefix: str) -> Iterator[TableObject]:
        return (TableObject(S3, key, 1, "tag") for key in keys if key.startswith(prefix))

    monkeypatch.setattr(TableBucket, "objects", objects)
    assert names("s3://b/in") == sorted(f"s3://b/{key}" for key in keys if key != "in/a.csv/")
    assert names("s3://b/in/[1].csv") == ["s3://b/in/[1].csv"]
