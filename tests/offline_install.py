"""The installation from an archive in a network namespace without routes, timed: run by hand, as root, with Docker installed.

    python tests/offline_install.py /path/of/offline.tar

It starts a second Docker engine with a folder of its own inside the namespace, makes an environment from the archive's wheels by the
project's locks, installs the archive, and brings the stack up. Nothing in the namespace leads out of it: the only interfaces are loopback
and Docker's own bridges. Where POSTGRES_IMAGE is not the official one, POSTGRES_UID and POSTGRES_GID name its user.
"""

# ruff: noqa: T201 - a script that prints

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
INSIDE = "--inside"
OF_DOCKER = ("lo", "docker", "br-", "veth")


def run(*command: str | Path, **options: object) -> str:
    """Run a command to its end, and return what it printed; its errors go to the terminal."""
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, text=True, check=True, **options)  # type: ignore[call-overload]
    return str(done.stdout)


@contextmanager
def engine(folder: Path) -> Iterator[dict[str, str]]:
    """Run a Docker engine of its own below the folder, and yield the variables that lead to it."""
    socket = f"unix://{folder}/docker.sock"
    paths = {"data-root": "data", "exec-root": "exec", "pidfile": "docker.pid"}
    command = ["dockerd", "--host", socket, *(part for name, place in paths.items() for part in (f"--{name}", str(folder / place)))]
    environment = {**os.environ, "DOCKER_HOST": socket}
    with (folder / "dockerd.log").open("w") as log:
        daemon = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        for _ in range(300):
            if subprocess.run(["docker", "info"], env=environment, capture_output=True, check=False).returncode == 0:
                break
            time.sleep(0.2)
        yield environment
    finally:
        daemon.terminate()
        daemon.wait(60)


def interfaces() -> dict[str, int]:
    """Return how many packets each network interface of this namespace has sent."""
    lines = Path("/proc/net/dev").read_text().splitlines()[2:]
    return {name.strip(): int(counts.split()[9]) for name, _, counts in (line.partition(":") for line in lines)}


def environment_from(wheels: Path, folder: Path) -> Path:
    """Return the folder of the programs of an environment made from the wheels alone, by the hashes of the project's locks."""
    run(sys.executable, "-m", "venv", folder)
    python, from_wheels = folder / "bin" / "python", ("--quiet", "--no-index", "--find-links", wheels)
    run(python, "-m", "pip", "install", *from_wheels, "--require-hashes", "--requirement", ROOT / "requirements" / "uv.txt")
    install = (python, "-m", "uv", "pip", "install", "--offline", "--python", python, *from_wheels)
    run(*install, "--require-hashes", "--requirement", ROOT / "requirements" / "workbench.txt")
    run(*install, "--no-deps", *wheels.glob("passerelle-*.whl"))
    return folder / "bin"


def inside(archive: Path, folder: Path) -> None:
    """Install from the archive in this namespace, and print what took how long."""
    run("ip", "link", "set", "lo", "up")
    project = folder / "project"
    for name in run("git", "-C", ROOT, "ls-files", "-z").strip("\0").split("\0"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, project / name)
    with engine(folder) as variables:
        began = time.monotonic()
        with tarfile.open(archive) as content:
            content.extractall(folder, [each for each in content if each.name.startswith("wheels/")], filter="data")
        programs = environment_from(folder / "wheels", folder / "venv")
        timed("the environment", began)
        variables["PATH"] = f"{programs}:{variables['PATH']}"
        commands: Sequence[Sequence[str]] = (
            ("passerelle", "bundle", str(archive), "--install"),
            ("passerelle", "up", "--target", "compose", "--no-model"),
        )
        try:
            for command in commands:
                print(run(*command, cwd=project, env=variables).rstrip())
                timed(" ".join(command[:3]), began)
            print(run("docker", "ps", "--format", "{{.Names}}: {{.Status}}", env=variables).rstrip())
        finally:
            run("docker", "compose", "--file", project / "deploy" / "compose.yaml", "down", "--volumes", env=variables)
    report(interfaces())


def timed(what: str, began: float) -> None:
    print(f"-- {time.monotonic() - began:6.1f} s: {what}", flush=True)


def report(sent: Mapping[str, int]) -> None:
    """Print the routes and the interfaces, and refuse one that leads out."""
    routes = run("ip", "route").strip() or "none"
    out = {name: count for name, count in sent.items() if not name.startswith(OF_DOCKER)}
    print(f"routes: {routes}\ninterfaces and packets sent: {dict(sent)}\npackets that left: {sum(out.values())}")
    if out or "default" in routes:
        sys.exit(f"the namespace leads out by {out or routes}")


def main() -> None:
    """Enter the namespace, or do the work where it was entered."""
    if sys.argv[1] == INSIDE:
        inside(Path(sys.argv[2]), Path(sys.argv[3]))
        return
    with tempfile.TemporaryDirectory(prefix="passerelle-offline-") as folder:
        script = [sys.executable, __file__, INSIDE, str(Path(sys.argv[1]).resolve()), folder]
        sys.exit(subprocess.run(["unshare", "--net", *script], check=False).returncode)


if __name__ == "__main__":
    main()
