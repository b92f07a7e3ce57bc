"""Copy Python and what it and the installed packages are linked with into an empty root: for an image without a shell.

Runs while an image is built.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

#: Of the standard library: what needs a display, a compiler or a developer; bytecode of what is imported comes by itself.
LEFT_OUT = (
    "__pycache__", "test", "tests", "idlelib", "tkinter", "turtledemo", "lib2to3", "ensurepip", "pydoc_data", "site-packages",
    "dist-packages", "distutils", "config-*", "turtle.py", "_tkinter*",
)  # fmt: skip
#: Loaded by name when a host is looked up or a thread ends, hence in nobody's list of libraries.
NAMED = ("libnss_dns.so.2", "libnss_files.so.2", "libresolv.so.2", "libgcc_s.so.1")
FILES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/nsswitch.conf", "/etc/debian_version", "/etc/os-release")
ACCOUNT = "bentoml:x:1034:1034:bentoml:/tmp:/sbin/nologin\n"


def linked(path: Path) -> Iterator[Path]:
    """Yield the shared libraries that the loader takes for this file."""
    output = subprocess.run(["ldd", str(path)], capture_output=True, text=True, check=False).stdout  # noqa: S607
    for match in re.finditer(r"(?:=> )?(/\S+) \(0x", output):
        yield Path(match[1])


def copied(path: Path, root: Path) -> None:
    """Copy a file, and what its links lead to, to the same places below the root."""
    for place in (path, *_links(path)):
        target = root / place.parent.resolve().relative_to("/") / place.name
        if not (target.exists() or target.is_symlink()):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(place, target, follow_symlinks=False)


def _links(path: Path) -> Iterator[Path]:
    while path.is_symlink():
        path = path.parent / path.readlink()
        yield path


def python(packages: Path, root: Path) -> None:
    """Copy the interpreter, its standard library, and the libraries."""
    for name in ("bin", "sbin", "lib", "lib64"):
        if Path("/", name).is_symlink():
            (root / Path("/", name).readlink()).mkdir(parents=True, exist_ok=True)
            (root / name).symlink_to(Path("/", name).readlink())
    interpreter, library = Path(sys.executable), Path(sysconfig.get_path("stdlib"))
    shutil.copytree(library, root / library.relative_to("/"), symlinks=True, ignore=shutil.ignore_patterns(*LEFT_OUT))
    copied(interpreter.resolve(), root)
    for name in ("python3", "python"):
        link = root / interpreter.parent.relative_to("/") / name
        if not link.exists():
            link.symlink_to(interpreter.resolve())
    binaries = {interpreter.resolve(), *library.rglob("lib-dynload/*.so"), *packages.rglob("*.so"), *packages.rglob("*.so.*")}
    libraries = {found for path in sorted(binaries) for found in linked(path) if not found.is_relative_to(packages)}
    named = {found.parent / name for found in libraries for name in NAMED}
    for path in sorted(path for path in (*libraries, *named, *map(Path, FILES)) if path.exists()):
        copied(path, root)


def packages_of(root: Path) -> None:
    """Write down which Debian packages the files come from, where scanners look for it in images of this kind."""
    files = [str(Path("/", path.relative_to(root))) for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    # Where /lib is a link to /usr/lib, dpkg goes on naming many files by their former place.
    files += [name.removeprefix("/usr") for name in files if name.startswith("/usr/lib")]
    output = subprocess.run(["dpkg-query", "--search", *files], capture_output=True, text=True, check=False).stdout  # noqa: S607
    folder = root / "var/lib/dpkg/status.d"
    folder.mkdir(parents=True)
    names = {name for line in output.splitlines() if not line.startswith("diversion") for name in line.split(": /")[0].split(", ")}
    for name in sorted(names):
        status = subprocess.run(["dpkg-query", "--status", name], capture_output=True, text=True, check=False)  # noqa: S607
        if status.returncode == 0:
            (folder / name.split(":")[0]).write_text(status.stdout)
        notice = Path("/usr/share/doc", name.split(":")[0], "copyright")
        if notice.is_file():
            copied(notice, root)


if __name__ == "__main__":
    root_folder = Path(sys.argv[2])
    root_folder.mkdir(parents=True)
    python(Path(sys.argv[1]), root_folder)
    (root_folder / "etc/passwd").write_text("root:x:0:0:root:/root:/sbin/nologin\n" + ACCOUNT)
    (root_folder / "etc/group").write_text("root:x:0:\nbentoml:x:1034:\n")
    (root_folder / "tmp").mkdir()
    (root_folder / "tmp").chmod(0o1777)
    if Path("/etc/ld.so.cache").exists():
        subprocess.run(["ldconfig", "-r", str(root_folder)], check=False)  # noqa: S607
    packages_of(root_folder)
