"""What an image without a shell is made of: files with what their links lead to, and libraries without what only a debugger reads."""

from __future__ import annotations

import ctypes
import struct
from pathlib import Path

import orjson
import pytest

from passerelle.bentos.image.closure import copied
from passerelle.bentos.image.symbols import leave_out_symbols


def test_a_file_is_copied_with_every_link_on_the_way_to_it(tmp_path: Path) -> None:
    there, root = tmp_path / "there", tmp_path / "root"
    (there / "deep").mkdir(parents=True)
    (there / "deep" / "lib.so.1.2").write_text("library")
    (there / "lib.so.1").symlink_to("deep/lib.so.1.2")
    (there / "lib.so").symlink_to(there / "lib.so.1")
    copied(there / "lib.so", root)
    below = root / there.relative_to("/")
    assert (below / "lib.so").readlink() == there / "lib.so.1"
    assert (below / "lib.so.1").readlink() == Path("deep/lib.so.1.2")
    assert (below / "deep" / "lib.so.1.2").read_text() == "library"


def test_what_is_there_already_stays(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("new")
    target = tmp_path / "root" / (tmp_path / "file").relative_to("/")
    target.parent.mkdir(parents=True)
    target.write_text("old")
    copied(tmp_path / "file", tmp_path / "root")
    assert target.read_text() == "old"


def test_a_library_without_its_symbols_is_shorter_and_loads(tmp_path: Path) -> None:
    whole = next(Path(orjson.__file__).parent.glob("*.so")).read_bytes()
    library = tmp_path / "library.so"
    library.write_bytes(whole + b"debugging information")
    leave_out_symbols(library)
    assert library.stat().st_size < len(whole)
    assert hasattr(ctypes.CDLL(str(library)), "PyInit_orjson")
    content = library.read_bytes()
    assert struct.unpack_from("<Q", content, 40) == (0,)
    assert struct.unpack_from("<HH", content, 60) == (0, 0)
    leave_out_symbols(library)
    assert library.read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\n", b"\x7fELF\x01\x01 of 32 bits"])
def test_a_file_of_another_kind_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    leave_out_symbols(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == content
