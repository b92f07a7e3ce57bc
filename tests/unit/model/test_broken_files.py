"""A model's file that is broken is a failure of integrity, whatever its reader says of it."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest

from passerelle.errors import IntegrityError, UsageError
from passerelle.model.classifier import load_pipeline
from passerelle.model.mlmodel import describe
from passerelle.names import MODEL_FOLDER
from tests.unit.serving.models import text_bento_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return text_bento_model(tmp_path_factory.mktemp("broken") / "model") / MODEL_FOLDER


def test_a_flipped_byte_anywhere_in_the_file_is_one_or_does_no_harm(folder: Path) -> None:
    path = folder / "model.skops"
    whole, description = path.read_bytes(), describe(folder)
    refused = 0
    try:
        for place in range(0, len(whole), max(1, len(whole) // 400)):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
            try:
                load_pipeline(folder, description)
            except (IntegrityError, UsageError):
                refused += 1
    finally:
        path.write_bytes(whole)
    assert refused > 300


def rewritten(whole: bytes, path: Path, schema: str) -> None:
    """Write the archive with another schema.json."""
    path.write_bytes(whole)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (members | {"schema.json": schema.encode()}).items():
            archive.writestr(name, content)


def encrypted(whole: bytes) -> bytes:
    """Return the archive with the flag of a password on its members, which Python answers with a RuntimeError."""
    place, changed = 0, bytearray(whole)
    while (place := whole.find(b"PK\x01\x02", place)) >= 0:
        changed[place + 8 : place + 10] = struct.pack("<H", 1)
        place += 4
    return bytes(changed)


@pytest.mark.parametrize("way", ["truncated", "recursion", "encrypted", "empty"])
def test_what_a_broken_archive_raises_is_said_in_our_words(folder: Path, way: str) -> None:
    path = folder / "model.skops"
    whole, description = path.read_bytes(), describe(folder)
    try:
        match way:
            case "truncated":
                path.write_bytes(whole[: len(whole) // 2])
            case "recursion":
                rewritten(whole, path, "[" * 200_000)
            case "encrypted":
                path.write_bytes(encrypted(whole))
            case _:
                path.write_bytes(b"")
        with pytest.raises(IntegrityError, match="skops file"):
            load_pipeline(folder, description)
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"[]", b"flavors: 3", b"flavors: {sklearn: {}}\nsignature: 3", b"[" * 5_000])
def test_an_mlmodel_that_is_none(folder: Path, content: bytes) -> None:
    path = folder / "MLmodel"
    whole = path.read_bytes()
    try:
        path.write_bytes(content)
        with pytest.raises(IntegrityError, match="no readable MLmodel file"):
            describe(folder)
    finally:
        path.write_bytes(whole)
