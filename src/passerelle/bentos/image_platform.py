"""Platforms that an image can be built for: this machine's, and others that the container engine can run by emulation."""

from __future__ import annotations

from passerelle.bentos.engine import ask, this_machine
from passerelle.errors import OutsideError, UsageError

PLATFORMS = ("linux/amd64", "linux/arm64")
_RUN_TIMEOUT_S = 600.0


def machine_of(platform: str) -> str:
    """Return the architecture of `linux/<architecture>`."""
    return platform.rpartition("/")[2]


def is_foreign(platform: str | None) -> bool:
    """Return whether the platform is another than this machine's."""
    return platform is not None and machine_of(platform) != this_machine()


def check_platform(engine: str, platform: str | None, base: str) -> None:
    """Check that the engine can run programs of the base image on this platform: a build runs Python in it.

    Raises:
        UsageError: passerelle does not build for the platform.
        OutsideError: The engine cannot run it.
    """
    _check_known(platform)
    if platform is None or not is_foreign(platform):
        return
    ran = ask(engine, "run", "--rm", "--platform", platform, "--entrypoint", "python3", base, "--version", timeout_s=_RUN_TIMEOUT_S)
    if ran.returncode == 0:
        return
    reason = ([line for line in ran.stderr.strip().splitlines() if line.strip()] or ["no output"])[-1]
    raise OutsideError(
        f"{engine} on this machine (linux/{this_machine()}) cannot run {base} for {platform}, so no image can be built for it: {reason}",
        hint="sudo apt-get install --yes qemu-user-static\npasserelle containerize",
    )


def _check_known(platform: str | None) -> None:
    if platform is not None and platform not in PLATFORMS:
        raise UsageError(f"{platform} is none of {', '.join(PLATFORMS)}", hint="passerelle containerize --platform linux/arm64 --no-smoke")
