"""Airflow on loopback, without containers: `make airflow` starts it with the embedded platform, and Ctrl-C ends both.

Airflow's environment is in the cache: its libraries have other versions than those of passerelle, in whose environment this file runs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

import click
import requests
from filelock import FileLock, Timeout

from passerelle.cli.connect import surroundings
from passerelle.cli.output import print_error
from passerelle.errors import BusyError, OutsideError, PasserelleError, shell_word
from passerelle.platform.child import Child
from passerelle.platform.embedded import EmbeddedPlatform, stopped_by_signal
from passerelle.platform.ports import free_ports, port_is_taken
from passerelle.platform.private_file import write_private
from passerelle.project_file import apply_settings

HERE = Path(__file__).resolve().parent
USER = "admin"
DAGS = ("passerelle_flow", "passerelle_rollback", "passerelle_drift", "passerelle_corrections")
_PREPARATION_TIMEOUT_S = 900.0
_START_TIMEOUT_S = 600.0


def airflow_environment(progress: Callable[[str], None] = click.echo) -> Path:
    """Return the folder of Airflow's environment in the cache, which is made where these locked requirements have none yet.

    Raises:
        OutsideError: The packages cannot be installed.
    """
    locked = HERE / "requirements.txt"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "passerelle" / "airflow"
    digest = hashlib.sha256(locked.read_bytes() + sys.version.encode()).hexdigest()[:16]
    folder = cache / digest
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f"{digest}.lock"):
        if not (folder / ".complete").exists():
            progress(f"environment of Airflow: {locked.read_text().count('==')} locked packages into {folder}")
            uv = [sys.executable, "-m", "uv"]
            what = "installing Airflow"
            _run([*uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder)], what)
            python = str(folder / "bin" / "python")
            _run([*uv, "pip", "sync", "--quiet", "--compile-bytecode", "--python", python, "--require-hashes", str(locked)], what)
            (folder / ".complete").touch()
    return folder


def _run(command: list[str], what: str, environment: Mapping[str, str] = os.environ) -> None:
    try:
        done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, timeout=_PREPARATION_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise OutsideError(f"{what} took longer than {_PREPARATION_TIMEOUT_S:.0f} s", hint="make airflow") from error
    if done.returncode != 0:
        # Without the frames of a traceback, which are indented.
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip() and not line.startswith(" ")]
        raise OutsideError("\n".join([f"{what} failed:", *lines[-6:]]), hint="make airflow")


def variables(home: Path, port: int, project: Path) -> dict[str, str]:
    """Return the variables that Airflow's processes and its tasks read.

    Args:
        home: Of its database and its logs.
        port: Of the API server, on loopback.
        project: Where the commands run.
    """
    address = f"http://127.0.0.1:{port}"
    return {
        "AIRFLOW_HOME": str(home),
        # By default a statement fails that SQLite, on a busy machine, does not get to within five seconds.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{quote(str(home))}/airflow.db?timeout=60",
        "AIRFLOW__CORE__DAGS_FOLDER": str(HERE / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        # By default a task fails that the API server, on a busy machine, does not answer within five seconds.
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__BASE_URL": address,
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(48),
        "AIRFLOW_VAR_PASSERELLE_PROJECT": str(project),
        "AIRFLOW_VAR_PASSERELLE_COMMAND": os.environ.get("AIRFLOW_VAR_PASSERELLE_COMMAND")
        or str(Path(sys.executable).parent / "passerelle"),
    }


def prepare(airflow: Path, environment: Mapping[str, str]) -> None:
    """Make or update Airflow's database, and the pool that lets one promotion run at a time.

    Raises:
        OutsideError: Airflow's database cannot be written.
    """
    for arguments in (("db", "migrate"), ("pools", "set", "promotion", "1", "one promotion or rollback at a time")):
        _run([str(airflow / "bin" / "airflow"), *arguments], f"`airflow {' '.join(arguments[:2])}`", environment)


def password_of(home: Path) -> str:
    """Return the password of the user, which is made at the first start."""
    path = home / "passwords.json"
    if not path.exists():
        write_private(path, json.dumps({USER: secrets.token_urlsafe(12)}))
    return str(json.loads(path.read_text())[USER])


@contextmanager
def airflow_processes(airflow: Path, environment: Mapping[str, str]) -> Iterator[list[Child]]:
    """Yield Airflow's three processes, once the API server answers; they end with the body."""
    home, address = Path(environment["AIRFLOW_HOME"]), environment["AIRFLOW__API__BASE_URL"]
    health = f"{address}/api/v2/monitor/health"
    # Without the scheduler's own server for logs, which would listen on all addresses: the API server reads the files.
    commands = (("api-server",), ("scheduler", "--skip-serve-logs"), ("dag-processor",))
    with ExitStack() as stack:
        children = []
        for command in commands:
            executable = str(airflow / "bin" / "airflow")
            child = Child(f"airflow {command[0]}", [executable, *command], environment, home / "logs" / f"{command[0]}.log", health)
            child.start()
            stack.callback(child.stop)
            children.append(child)
        children[0].wait_until_healthy(_START_TIMEOUT_S)
        yield children


def session(address: str, password: str) -> requests.Session:
    """Return a session with Airflow's API, signed in."""
    opened = requests.Session()
    opened.trust_env = False
    answer = opened.post(f"{address}/auth/token", json={"username": USER, "password": password}, timeout=60)
    answer.raise_for_status()
    opened.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return opened


def unpause(opened: requests.Session, address: str) -> None:
    """Wait until Airflow knows the DAGs, and unpause them: `airflow dags test` leaves them paused, and a paused DAG loses its events.

    Raises:
        OutsideError: Airflow does not know them in time.
    """
    waiting, deadline = list(DAGS), time.monotonic() + _START_TIMEOUT_S
    while waiting and time.monotonic() < deadline:
        answer = opened.patch(f"{address}/api/v2/dags/{waiting[0]}", json={"is_paused": False}, timeout=60)
        if answer.status_code == requests.codes.ok and answer.json()["is_paused"] is False:
            waiting.pop(0)
        else:
            time.sleep(0.5)
    if waiting:
        raise OutsideError(f"Airflow did not read the DAG {waiting[0]} within {_START_TIMEOUT_S:.0f} s", hint="make airflow")


def run(port: int | None, project: Path) -> None:
    """Run Airflow, and the embedded platform unless another registry is named, until Ctrl-C."""
    apply_settings(project)
    airflow, context = airflow_environment(), surroundings()
    home = context.state.state_dir.resolve() / "airflow"
    home.mkdir(parents=True, exist_ok=True)
    if port and port_is_taken(port):
        raise BusyError(f"the port {port} is taken", hint="make airflow")
    with ExitStack() as stack:
        environment = {**os.environ, **context.environment, **variables(home, port or free_ports(1)[0], project)}
        _alone(home, stack)
        platform = None
        if context.server is None:
            platform = stack.enter_context(EmbeddedPlatform(context.state.state_dir, click.echo))
            environment |= platform.running.environment
        password, address = password_of(home), environment["AIRFLOW__API__BASE_URL"]
        click.echo("starting Airflow: database, API server, scheduler and DAG processor")
        prepare(airflow, environment)
        children = stack.enter_context(airflow_processes(airflow, environment))
        unpause(session(address, password), address)
        click.echo(f"Airflow   {address}  user {USER}, password {password}\nlogs      {home / 'logs'}\nCtrl-C ends it")
        with stopped_by_signal() as stop:
            while not stop.wait(0.5):
                _refuse_ended(platform, children)
        click.echo("ending Airflow" + (" and the platform" if platform is not None else ""))


def _alone(home: Path, stack: ExitStack) -> None:
    """Lock the folder until the end of the stack; the kernel releases the lock of a process that was killed."""
    try:
        stack.enter_context(FileLock(home / "lock", timeout=0))
    except Timeout as error:
        raise BusyError(f"another process runs Airflow in {home}") from error


def _refuse_ended(platform: EmbeddedPlatform | None, children: list[Child]) -> None:
    if platform is not None:
        platform.raise_if_one_ended()
    for child in children:
        if not child.alive():
            message = f"{child.name} ended by itself:\n{_without_frames(child.log_tail())}"
            raise OutsideError(message, hint=f"cat {shell_word(child.log_path)}")


def _without_frames(tail: str) -> str:
    """Return the end of a log, each line of which has four spaces before it, without the frames of a traceback, which have more."""
    lines = tail.splitlines()
    return "\n".join([line for line in lines if not line[4:].startswith((" ", "Traceback"))] or lines)


def main() -> None:
    """Parse the options, run, and leave with passerelle's exit codes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, help="of the API server, on loopback; a free one by default")
    parser.add_argument("--project", type=Path, default=Path())
    parser.add_argument("--install-only", action="store_true", help="make Airflow's environment, print its folder and end")
    options = parser.parse_args()
    try:
        if options.install_only:
            click.echo(airflow_environment(lambda line: click.echo(line, err=True)))
            return
        run(options.port, options.project.resolve())
    except PasserelleError as error:
        print_error(error, as_json=False)
        sys.exit(error.exit_code)
    except requests.RequestException as error:
        failed = OutsideError(f"Airflow's API failed: {error}", hint="make airflow")
        print_error(failed, as_json=False)
        sys.exit(failed.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
