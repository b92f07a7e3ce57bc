"""Shorten shared libraries by what only a debugger reads: symbols, debugging information, the table of sections.

The loader reads the program header alone; all that lies behind the last segment it names can go.
See elf(5), and how `sstrip` does it.
"""

from __future__ import annotations

import struct
from pathlib import Path

_MAGIC = b"\x7fELF\x02\x01"
_PROGRAM_HEADERS, _SECTION_HEADERS = 32, 40
_PROGRAM_HEADER_SIZE, _SECTION_COUNT = 54, 60


def leave_out_symbols(path: Path) -> None:
    """Shorten the file to what the loader reads; a file of another kind stays as it is."""
    content = path.read_bytes()
    if not content.startswith(_MAGIC):
        return
    start = struct.unpack_from("<Q", content, _PROGRAM_HEADERS)[0]
    size, count = struct.unpack_from("<HH", content, _PROGRAM_HEADER_SIZE)
    segments = [struct.unpack_from("<QQQQ", content, start + place * size + 8) for place in range(count)]
    end = max(start + size * count, *(offset + in_file for offset, _, _, in_file in segments))
    kept = bytearray(content[:end])
    struct.pack_into("<Q", kept, _SECTION_HEADERS, 0)
    struct.pack_into("<HH", kept, _SECTION_COUNT, 0, 0)
    path.write_bytes(kept)
