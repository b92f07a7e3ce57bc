"""What the kernel keeps from the process of a model: files outside of its folders, connections, and other processes.

Linux alone, without any privilege: Landlock (https://docs.kernel.org/userspace-api/landlock.html) for files and signals, and a seccomp
filter for sockets. Both hold for all that the process starts, and neither can be taken back.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import resource
import struct
import sys
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE, _IOCTL = 1, 1 << 1, 1 << 2, 1 << 3, 1 << 14, 1 << 15
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL
_READ = _EXECUTE | _READ_FILE | _READ_DIR
#: All rights over files that each version of Landlock knows.
_ALL = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_NETWORK, _SCOPES = 3, 3
#: What a Python with its libraries reads outside of its own folders; nothing of anybody's home, and of no other process.
_SYSTEM = (
    "/usr", "/lib", "/lib64", "/lib32", "/bin", "/sbin", "/etc", "/sys/devices/system", "/sys/fs/cgroup", "/proc/self", "/proc/cpuinfo",
    "/proc/meminfo", "/proc/stat", "/proc/filesystems", "/proc/version", "/proc/sys/kernel", "/proc/sys/vm",
)  # fmt: skip
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")

#: The numbers of system calls: socket, io_uring_setup, ptrace, process_vm_readv, process_vm_writev; and the name of the architecture.
_CALLS = {"x86_64": (0xC000003E, (41, 425, 101, 310, 311)), "aarch64": (0xC00000B7, (198, 425, 117, 270, 271))}
_REFUSED, _ALLOWED, _KILLED = 0x00050000 | 13, 0x7FFF0000, 0x80000000
_FIRST_OF_X32 = 0x40000000


def limit(memory_mib: int) -> None:
    """Limit the memory of this process, and let it leave no image of itself."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_mib:
        resource.setrlimit(resource.RLIMIT_DATA, (memory_mib << 20, memory_mib << 20))


def enter(own: Path, readable: list[Path]) -> list[str]:
    """Give up what the model does not need, and return what the kernel granted: `files`, `network`, both or neither.

    Args:
        own: The folder that the process may write to.
        readable: Folders that it may read, besides the interpreter's own.
    """
    if sys.platform != "linux":
        return []
    kernel = ctypes.CDLL(None, use_errno=True)
    granted = []
    with contextlib.suppress(OSError, AttributeError):
        _check(kernel.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))
        with contextlib.suppress(OSError):
            _restrict_files(kernel, own, [*readable, *_interpreter()])
            granted.append("files")
        with contextlib.suppress(OSError, KeyError):
            _refuse_sockets(kernel)
            granted.append("network")
    return granted


def _interpreter() -> list[Path]:
    return [Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parent, Path(__file__).resolve().parent]


def _check(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _restrict_files(kernel: ctypes.CDLL, own: Path, readable: list[Path]) -> None:
    version = _check(kernel.syscall(_CREATE_RULESET, None, 0, 1))
    handled = _ALL[min(version, max(_ALL))]
    attributes = struct.pack("=QQQ", handled, _NETWORK, _SCOPES)[: 24 if version >= 6 else 16 if version >= 4 else 8]
    rules = _check(kernel.syscall(_CREATE_RULESET, attributes, len(attributes), 0))
    try:
        for path in [*map(Path, _SYSTEM), *readable]:
            _allow(kernel, rules, path, _READ)
        for path in map(Path, _DEVICES):
            _allow(kernel, rules, path, (_READ_FILE | _WRITE_FILE | _IOCTL) & handled)
        _allow(kernel, rules, own, handled)
        _check(kernel.syscall(_RESTRICT_SELF, rules, 0))
    finally:
        os.close(rules)


def _allow(kernel: ctypes.CDLL, rules: int, path: Path, rights: int) -> None:
    """Add a rule for a path; one that is not there needs none."""
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        rights = rights if path.is_dir() else rights & _OF_FILES
        _check(kernel.syscall(_ADD_RULE, rules, 1, struct.pack("=Qi", rights, place), 0))
    finally:
        os.close(place)


def _refuse_sockets(kernel: ctypes.CDLL) -> None:
    """Let each call that makes a socket, or reaches into another process, fail with EACCES."""
    architecture, numbers = _CALLS[platform.machine()]
    load, equal, at_least, answer = 0x20, 0x15, 0x35, 0x06
    steps = [(load, 0, 0, 4), (equal, 1, 0, architecture), (answer, 0, 0, _KILLED), (load, 0, 0, 0)]
    steps += [(at_least, 0, 1, _FIRST_OF_X32), (answer, 0, 0, _REFUSED)]
    for number in numbers:
        steps += [(equal, 0, 1, number), (answer, 0, 0, _REFUSED)]
    steps.append((answer, 0, 0, _ALLOWED))
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    header = struct.pack("@HP", len(steps), ctypes.addressof(program))
    _check(kernel.prctl(_SET_SECCOMP, _FILTER, header, 0, 0))
