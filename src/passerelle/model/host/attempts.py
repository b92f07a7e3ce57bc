"""What the model tries while it is read that no model needs: to write files outside of its own folder, or to open connections.

Python's audit events name it, and refuse it where the kernel does not. They are no wall of their own: native code raises none.
"""

from __future__ import annotations

import os
import sys
from typing import Callable

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
#: Events of files, and the arguments that name them.
_FILES = {
    "os.remove": 1, "os.rename": 2, "os.rmdir": 1, "os.mkdir": 1, "os.symlink": 2, "os.link": 2, "os.truncate": 1, "os.chmod": 1,
    "os.chown": 1, "os.utime": 1, "shutil.rmtree": 1,
}  # fmt: skip
_CONNECTIONS = {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}
#: Tried by libraries while they are imported, to see what the machine can do.
_PROBES = {"socket.bind"}
_DEVICES = ("/dev/null", "/dev/tty", "/dev/zero", "/dev/full")
_MOST = 5


class Attempts:
    """Watches this process from now on.

    Args:
        own: The folder that it may write to.

    Attributes:
        seen: What was tried, in words; at most five.
    """

    def __init__(self, own: str) -> None:
        self.seen: list[str] = []
        self._own = os.path.realpath(own) + os.sep
        self._environment = tuple(os.path.realpath(each) + os.sep for each in (sys.prefix, sys.base_prefix))
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            if (isinstance(flags, int) and flags & _WRITES) or (isinstance(mode, str) and set(mode) & set("wax+")):
                self._file(path, "write")
        elif event in _FILES:
            for path in arguments[: _FILES[event]]:
                self._file(path, "change")
        elif event in _CONNECTIONS:
            self._refuse(f"open a connection to {_address(arguments)}")
        elif event in _PROBES:
            raise PermissionError("the process of a model opens no sockets")

    def _file(self, path: object, verb: str) -> None:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return
        place = os.path.realpath(os.fsdecode(path))
        if (place + os.sep).startswith(self._own) or place in _DEVICES:
            return
        if place.startswith(self._environment):  # caches of libraries, which go without where they may not write
            raise PermissionError(f"{place} is not for the model to {verb}")
        self._refuse(f"{verb} the file {place}")

    def _refuse(self, attempt: str) -> None:
        if len(self.seen) < _MOST and attempt not in self.seen:
            self.seen.append(attempt)
        raise PermissionError(f"the process of a model must not {attempt}")


def _address(arguments: tuple[object, ...]) -> str:
    address = next((each for each in arguments if isinstance(each, (str, bytes, tuple))), "another host")
    if isinstance(address, tuple):
        return ":".join(str(each) for each in address[:2])
    return os.fsdecode(address) if isinstance(address, (str, bytes)) else str(address)


def end_with_parent() -> Callable[[], None]:
    """Return what ends this process once its parent is gone; for a thread, since the model may be busy then."""
    parent = os.getppid()

    def watch() -> None:
        import time

        while os.getppid() == parent:
            time.sleep(1)
        os._exit(0)

    return watch
