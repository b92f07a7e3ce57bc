"""A file for libraries that seek, over content that is read a part at a time."""

from __future__ import annotations

import io
from abc import abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class SeekableReader(io.RawIOBase):
    """Reads from any place of content whose size is known; a subclass says where the content comes from."""

    def __init__(self, size_bytes: int) -> None:
        """Stand at the beginning."""
        self._size_bytes, self._place = size_bytes, 0

    @abstractmethod
    def part(self, begin: int, end: int) -> bytes | memoryview:
        """Return the content from `begin` on: at least one byte, and none from `end` on."""

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move to a place, and return it."""
        self._place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size_bytes}[whence]
        return self._place

    def tell(self) -> int:
        """Return the place."""
        return self._place

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill the buffer as far as one part does, and return how far; 0 at the end."""
        view = memoryview(buffer).cast("B")
        end = min(self._place + len(view), self._size_bytes)
        if end <= self._place:
            return 0
        found = self.part(self._place, end)
        view[: len(found)] = found
        self._place += len(found)
        return len(found)
