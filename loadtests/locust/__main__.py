"""Runs one load or all of them: `python -m loadtests.locust [mix] [spike] [soak] [--host http://…] [--seconds 20] [locust's options]`.

Without a host it serves the bento built last as long as the load lasts. Exits with 1 when a threshold was not kept.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from passerelle.bentos.store import latest_bento
from passerelle.errors import NotFoundError, PasserelleError
from passerelle.rollout.local import attached
from passerelle.settings import StateSettings, StoreSettings

ROOT = Path(__file__).resolve().parents[2]
USERS = {"mix": 24, "spike": 1, "soak": 16}


def command(load: str, host: str, seconds: float, further: Sequence[str] = ()) -> list[str]:
    """Return locust's command line for one load."""
    line = [sys.executable, "-m", "locust", "-f", f"loadtests/locust/{load}.py", "--headless", "--only-summary", "--host", host]
    if load == "spike":
        # Its shape says how many users there are and for how long.
        return [*line, "--stage-seconds", str(seconds / 3.25), *further]
    return [*line, "--users", str(USERS[load]), "--spawn-rate", "100", "--run-time", f"{seconds:g}s", *further]


@contextmanager
def service(host: str | None) -> Iterator[tuple[str, list[str]]]:
    """Yield the address of the service and what locust is told of it; serve the bento built last where no host is given.

    Raises:
        NotFoundError: Nothing was built.
    """
    if host is not None:
        yield host, []
        return
    state_dir = StateSettings.read().state_dir.resolve()
    store = StoreSettings.read(bentoml_home=StoreSettings.read().bentoml_home or state_dir / "bentoml")
    bento_tag = latest_bento(store)
    if bento_tag is None:
        raise NotFoundError("the BentoML store holds no bento to load", hint="make demo")
    with attached(bento_tag, settings=store, state_dir=state_dir) as (child, deployment):
        yield str(deployment.address), ["--service-pid", str(child.pid)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the loads one after another; return 1 when one did not keep its thresholds, else 0."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.locust", description=__doc__, allow_abbrev=False)
    parser.add_argument("loads", nargs="*", default=list(USERS), help="mix, spike, soak; all by default")
    parser.add_argument("--host", default=None)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each load")
    options, further = parser.parse_known_args(arguments)
    unknown = set(options.loads) - set(USERS)
    if unknown:
        parser.error(f"no such load: {', '.join(sorted(unknown))}")
    try:
        with service(options.host or None) as (host, told):
            codes = [subprocess.call(command(load, host, options.seconds, [*told, *further]), cwd=ROOT) for load in options.loads]
    except PasserelleError as error:
        sys.stderr.write(f"{error.message}\nnext: {error.hint}\n")
        return error.exit_code
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
