"""What a tree of processes listens on, and what of it answers another user.

As a program it prints both, for the oldest process whose command line holds a text.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

NOBODY = "65534"
_LISTENS, _BOUND_DATAGRAM, _ACCEPTS = "0A", "07", 0x10000
_CONNECT = """
import json, socket, sys
answered = []
for each in json.loads(sys.argv[1]):
    kind, address = each
    family = socket.AF_UNIX if kind == "unix" else socket.AF_INET6 if kind == "tcp6" else socket.AF_INET
    if kind == "unix":
        address = "\\0" + address[1:] if address.startswith("@") else address
    else:
        address = ("::1" if kind == "tcp6" else "127.0.0.1", address)
    with socket.socket(family) as client:
        client.settimeout(5)
        try:
            client.connect(address)
        except OSError:
            continue
    answered.append(each)
print(json.dumps(answered))
"""

#: `tcp`, `tcp6`, `udp` or `udp6` with a port, or `unix` with a path, which begins with @ when it is in no folder.
Socket = tuple[str, int | str]


def listening(pid: int) -> set[Socket]:
    """Return what the process and its descendants listen on, each seen in its own network namespace."""
    return {found for each in _family(pid) for found in _of_process(each)}


def answering(pid: int, sockets: set[Socket]) -> set[Socket]:
    """Return those of the sockets that user 65534, without any privilege, connects to from the process's network namespace. Needs root."""
    python = str(Path(sys.executable).resolve())  # an environment may lie where nobody else can go
    user = ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--no-new-privs"]
    command = ["nsenter", "--target", str(pid), "--net", *user, python, "-I", "-S", "-c", _CONNECT, json.dumps(sorted(sockets, key=str))]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, cwd="/")
    return {(kind, address) for kind, address in json.loads(said.stdout)}


def _family(pid: int) -> list[int]:
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


def _of_process(pid: int) -> Iterator[Socket]:
    folder = Path("/proc", str(pid))
    inodes = _inodes(folder / "fd")
    for kind in ("tcp", "tcp6", "udp", "udp6"):
        for fields in _rows(folder / "net" / kind):
            if fields[9] in inodes and fields[3] == (_LISTENS if kind.startswith("tcp") else _BOUND_DATAGRAM):
                yield kind, int(fields[1].rpartition(":")[2], 16)
    for fields in _rows(folder / "net" / "unix"):
        datagram = fields[4] != "0001"
        if fields[6] in inodes and len(fields) > 7 and (datagram or int(fields[3], 16) & _ACCEPTS):
            yield "unix", fields[7]


def _inodes(descriptors: Path) -> set[str]:
    found = set()
    with suppress(FileNotFoundError):  # the process has ended
        for link in descriptors.iterdir():
            with suppress(FileNotFoundError):  # the descriptor is closed, as that of this very loop is
                found.update(re.findall(r"^socket:\[(\d+)\]$", str(link.readlink())))
    return found


def _rows(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text().splitlines()[1:]] if path.exists() else []


if __name__ == "__main__":
    found = [each for each in psutil.process_iter(["cmdline"]) if sys.argv[1] in " ".join(each.info["cmdline"] or ())]
    oldest = min(found, key=lambda each: each.pid)
    opened = listening(oldest.pid)
    said = {"listening": sorted(opened, key=str), "answering": sorted(answering(oldest.pid, opened), key=str)}
    sys.stdout.write(json.dumps(said))
