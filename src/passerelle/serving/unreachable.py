"""Keeps clients from connecting to a port that nobody will accept them at."""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

#: Linux' number; Python has no name for it.
_SO_ATTACH_FILTER: Final = 26
#: One instruction of a packet filter, "return 0": of a packet, nothing is let through.
_NOTHING: Final = struct.pack("HBBI", 0x06, 0, 0, 0)


def make_unreachable(listeners: Sequence[int]) -> None:
    """Drop what asks for a connection to these listening sockets, and leave the connections that were made as they are.

    A client that was let in and is not accepted when the socket is closed gets a reset, its request perhaps sent. One that is not let in
    tries again after a second, and is refused then by a closed port. Does nothing where the operating system has no such filter.

    Args:
        listeners: Their file descriptors.
    """
    instructions = ctypes.create_string_buffer(_NOTHING)
    program = struct.pack("HP", 1, ctypes.addressof(instructions))
    for number in listeners:
        with suppress(OSError), socket.socket(fileno=number) as listener:
            try:
                listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
            finally:
                listener.detach()
