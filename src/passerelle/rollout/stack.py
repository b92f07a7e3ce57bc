"""The compose stack of a project: its folder, its engine, and what its commands say."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from dotenv import set_key

from passerelle.bentos.build_secrets import without_passwords
from passerelle.bentos.engine import Inspected, ask, failed, find_engine
from passerelle.bentos.tool_environment import tool_environment
from passerelle.errors import BusyError, NotFoundError, OutsideError
from passerelle.rollout.secret_files import API_KEY, KEYS_FILE, OTHER_S3, VOLUMES, check_secrets, make_secrets, read_secret
from passerelle.rollout.stack_images import image_variables
from passerelle.rollout.stack_variables import variables_of_file

REPLICAS = ("service-1", "service-2")
#: `depends_on` with `required: false` came with it.
OLDEST_COMPOSE = (2, 20)
_TIMEOUT_S = 1200.0
_SHORT_S = 60.0
_TAKEN = re.compile(r"(?:Bind for|listen tcp4?) \S*?:(\d+)[^\n]*(?:already allocated|address already in use)")
_NAMED = re.compile(r"(?<!\$)\$\{?(\w+)")
_WEBHOOK = "PASSERELLE_FOLLOW_WEBHOOK"
_START = "passerelle up --target compose --no-model"


@dataclass(frozen=True)
class Stack:
    """Where compose.yaml and its secrets are.

    Attributes:
        folder: Holds compose.yaml, .env and secrets/.
        overrides: Variables of compose.yaml that go before those of the environment and of .env.
    """

    folder: Path
    overrides: Mapping[str, str] = field(default_factory=dict)

    @property
    def secrets(self) -> Path:
        """The folder of the secrets."""
        return self.folder / "secrets"

    def compose(
        self, *arguments: str, variables: Mapping[str, str] | None = None, given: str | bytes | None = None, timeout_s: float = _TIMEOUT_S
    ) -> subprocess.CompletedProcess[str]:
        """Return what `docker compose` answers to these arguments.

        Args:
            variables: Override those of the environment and of .env.
            given: What the command reads from its input.
        """
        command = ["docker", "compose", *self._files(variables), "--progress", "plain", *arguments]
        text = given.decode() if isinstance(given, bytes) else given
        try:
            return subprocess.run(
                command, env=self._tool_environment(variables), input=text, capture_output=True, text=True, timeout=timeout_s, check=False
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, 1, "", f"it did not end within {timeout_s:.0f} s")

    def must(self, *arguments: str, of: str, variables: Mapping[str, str] | None = None) -> str:
        """Return the output of `docker compose`.

        Args:
            of: Names in an error what was to be done.

        Raises:
            BusyError: A port is taken.
            OutsideError: It fails; holds what it said, and what the container that is at fault said.
        """
        done = self.compose(*arguments, variables=variables)
        if done.returncode == 0:
            return done.stdout
        taken = _TAKEN.search(done.stderr)
        if taken:
            message = f"the port {taken[1]} is taken, and nothing was changed; end what listens there, or choose another port"
            raise BusyError(message, hint=f"export {self._port_variable(taken[1])}=PORT; passerelle up --target compose")
        # What a container says of its own disk is not the engine's.
        error = failed("docker", without_passwords(done.stderr), of=of, hint=f"{self.command} logs")
        raise OutsideError(error.message + self._last_words(done.stderr), hint=error.hint)

    def pipe(self, *arguments: str, source: IO[bytes] | None = None, target: IO[bytes] | None = None) -> None:
        """Run `docker compose` with files as its input and output.

        Raises:
            OutsideError: It fails; holds what it said.
        """
        command = ["docker", "compose", *self._files(), *arguments]
        given, taken = source or subprocess.DEVNULL, target or subprocess.PIPE
        try:
            done = subprocess.run(
                command, env=self._tool_environment(), stdin=given, stdout=taken, stderr=subprocess.PIPE, timeout=_TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise OutsideError(f"{arguments[3]} did not end within {_TIMEOUT_S:.0f} s", hint=f"{self.command} ps") from error
        if done.returncode != 0:
            raise failed("docker", done.stderr.decode(errors="replace"), of=arguments[3], hint=f"{self.command} ps")

    @property
    def command(self) -> str:
        """The command line of compose for this stack."""
        files = (shlex.quote(os.path.relpath(path)) for path in self._files()[1::2])
        return " ".join(["docker compose", *(f"-f {path}" for path in files)])

    def follows(self, variables: Mapping[str, str] | None = None) -> bool:
        """Return whether the replicas are to follow the registry.

        Args:
            variables: Override those of the environment and of .env.
        """
        return bool({**self.values(), **(variables or {})}.get("PASSERELLE_FOLLOW"))

    def mlflow_is_up_to_date(self) -> bool:
        """Return whether the MLflow server has the account for replicas that follow, and may call them, as the settings say."""
        current = self.containers().get("mlflow", {}).get("Config", {}).get("Env", ())
        variables = dict(variable.partition("=")[::2] for variable in current)
        expected = (self.values().get(_WEBHOOK) or "off") if self.follows() else None
        return variables.get(_WEBHOOK) == expected

    def _files(self, variables: Mapping[str, str] | None = None) -> list[str]:
        names = ["compose.yaml", *(["compose.follow.yaml"] if self.follows(variables) else [])]
        return [part for name in names for part in ("--file", str(self.folder / name))]

    def check(self) -> None:
        """Check that Docker answers and that its compose plugin is new enough.

        Raises:
            OutsideError: It is not Docker, does not answer, or is too old.
        """
        if shutil.which("docker") is None:
            engine = find_engine().capitalize()
            raise OutsideError(f"the stack needs Docker with its compose plugin; {engine} answers here", hint="docker version")
        find_engine("docker")
        done = ask("docker", "compose", "version", "--short")
        found = re.match(r"v?(\d+)\.(\d+)", done.stdout)
        oldest = ".".join(map(str, OLDEST_COMPOSE))
        if done.returncode != 0 or found is None:
            message = f"the compose plugin of docker is not installed; the stack needs {oldest} or newer"
            raise OutsideError(message, hint="docker compose version")
        if (int(found[1]), int(found[2])) < OLDEST_COMPOSE:
            message = f"docker compose is {done.stdout.strip()}; the stack needs {oldest} or newer"
            raise OutsideError(message, hint="docker compose version")

    def make_secrets(self) -> tuple[str, ...]:
        """Make the secrets that are missing, and return their names.

        Raises:
            As `secret_files.make_secrets`.
        """
        return make_secrets(self.secrets, volume_of=self._volume_of)

    def check_secrets(self) -> None:
        """Check that every secret that compose.yaml names can be used.

        Raises:
            As `secret_files.check_secrets`.
        """
        other = self.values().get(OTHER_S3)
        check_secrets(self.secrets, *([self.folder / other] if other else []), volume_of=self._volume_of)

    def _volume_of(self, secret: str) -> str | None:
        name = f"{self.values().get('COMPOSE_PROJECT_NAME') or 'passerelle'}_{VOLUMES[secret]}"
        return name if ask("docker", "volume", "inspect", name).returncode == 0 else None

    def containers(self) -> dict[str, Inspected]:
        """Return what the engine knows of each service's container, by the service's name; ended ones too."""
        profiles = [part for name in ("service", "grafana", "alerts", "collector", "backup", "airflow") for part in ("--profile", name)]
        ids = self.compose(*profiles, "ps", "--all", "--quiet", timeout_s=_SHORT_S).stdout.split()
        if not ids:
            return {}
        containers = json.loads(ask("docker", "inspect", *ids).stdout or "[]")
        return {each["Config"]["Labels"]["com.docker.compose.service"]: each for each in containers}

    def runs(self, service: str) -> bool:
        """Return whether a service's container runs."""
        container = self.containers().get(service)
        return container is not None and bool(container["State"]["Running"])

    def address(self, service: str, port: int) -> str:
        """Return where a service's port is published, as `http://host:port`.

        Raises:
            OutsideError: The stack does not run.
        """
        done = self.compose("port", service, str(port), timeout_s=_SHORT_S)
        where = done.stdout.strip()
        if done.returncode != 0 or not where or where.endswith(":0"):
            raise OutsideError(f"the stack in {self.folder} does not run: {service} publishes no port", hint=_START)
        host, _, number = where.rpartition(":")
        return f"http://{'127.0.0.1' if host in ('0.0.0.0', '[::]') else host}:{number}"  # noqa: S104 - where it listens

    def service_address(self) -> str:
        """Return where people reach the service: the name that its certificate is for, or else where the proxy's port is published.

        Raises:
            OutsideError: The proxy does not run.
        """
        values = self.values()
        site = re.split(r"[,\s]+", values.get("SITE_ADDRESS", "").strip())[0]
        if not site or site.startswith("http://"):
            return self.address("proxy", 8080)
        host = re.sub(r":\d+$", "", site.removeprefix("https://").partition("/")[0])
        port = values.get("SERVICE_TLS_PORT") or "3443"
        return f"https://{host}" if port == "443" else f"https://{host}:{port}"

    def environment(self) -> dict[str, str]:
        """Return the variables by which mlflow, boto3 and passerelle on this machine reach the stack."""
        own = {
            "PASSERELLE_ENVIRONMENT": "production",
            **self.mlflow_environment(),
            "BENTOML_DO_NOT_TRACK": "true",
            "PASSERELLE_KEYS_FILE": str(self.secrets / KEYS_FILE),
            "PASSERELLE_API_KEY": read_secret(self.secrets, API_KEY),
            "PASSERELLE_SERVICE_ADDRESS": self.service_address(),
        }
        values = self.values()
        if values.get("S3_LOG_BUCKET") or not values.get("S3_ACCESS_KEY_ID"):
            own["PASSERELLE_LOG_BUCKET"] = values.get("S3_LOG_BUCKET") or f"{values.get('S3_BUCKET') or 'passerelle'}-predictions"
        return own | self.s3_environment("workbench")

    def mlflow_environment(self) -> dict[str, str]:
        """Return the variables of MLflow, which is all that must run for them."""
        password = read_secret(self.secrets, "mlflow_admin_password")
        account = {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": password, "MLFLOW_DISABLE_TELEMETRY": "true"}
        return {"MLFLOW_TRACKING_URI": self.address("mlflow", 5000), **account}

    def s3_environment(self, user: str) -> dict[str, str]:
        """Return the variables of the S3 for one of MinIO's users, or for the other S3 that the stack was given."""
        values = self.values()
        if values.get("S3_ACCESS_KEY_ID"):
            path = self.folder / (values.get(OTHER_S3) or "secrets/s3_mlflow")
            key_id = values["S3_ACCESS_KEY_ID"]
            endpoint = values.get("PASSERELLE_S3_ENDPOINT_URL") or values.get("S3_ENDPOINT_URL") or ""
            secret = read_secret(path.parent, path.name)
        else:
            endpoint, key_id, secret = self.address("minio", 9000), user, read_secret(self.secrets, f"s3_{user}")
        found = {
            "AWS_ACCESS_KEY_ID": key_id,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_DEFAULT_REGION": values.get("S3_REGION") or "us-east-1",
            "PASSERELLE_S3_BUCKET": values.get("S3_BUCKET") or "passerelle",
        }
        return found | ({"MLFLOW_S3_ENDPOINT_URL": endpoint, "AWS_ENDPOINT_URL_S3": endpoint} if endpoint else {})

    def values(self) -> dict[str, str]:
        """Return what the environment and .env give to compose.yaml; the environment comes first."""
        return {**variables_of_file(self.folder / ".env"), **os.environ, **self.overrides}

    def _port_variable(self, port: str) -> str:
        """Return the variable that sets a port of the stack."""
        defaults = re.findall(r"\$\{(\w+_PORT):-(\d+)", (self.folder / "compose.yaml").read_text(encoding="utf-8"))
        values = self.values()
        return next((name for name, default in defaults if values.get(name, default) == port), "SERVICE_PORT")

    def _tool_environment(self, variables: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return what docker needs, and the variables that the compose files refer to."""
        files = [Path(name) for name in self._files(variables)[1::2]]
        named = {name for path in files if path.is_file() for name in _NAMED.findall(path.read_text(encoding="utf-8"))}
        return tool_environment(named) | {**image_variables(self.folder), **self.overrides, **(variables or {})}

    def remember(self, values: Mapping[str, str]) -> None:
        """Write variables to .env, which plain `docker compose` reads too; other lines stay."""
        path = self.folder / ".env"
        path.touch()
        for name, value in values.items():
            set_key(path, name, value, quote_mode="never")

    def _last_words(self, output: str) -> str:
        """Return the last lines of the container that compose names as the one at fault."""
        named = re.findall(r"(?:container|service) \"?([\w.-]+)\"? (?:is unhealthy|exited|didn't complete)", output)
        for service, container in self.containers().items() if named else ():
            if named[-1] in (service, container["Name"].lstrip("/")):
                log = ask("docker", "logs", "--tail", "8", container["Id"])
                return "\n" + "\n".join(f"{service}: {line}" for line in (log.stdout + log.stderr).splitlines()[-8:])
        return ""


def find_stack(project: Path) -> Stack:
    """Return the stack of a project.

    Raises:
        NotFoundError: The project holds no deploy/compose.yaml.
    """
    folder = project.resolve() / "deploy"
    if not (folder / "compose.yaml").is_file():
        raise NotFoundError(f"{project.resolve()} holds no deploy/compose.yaml", hint="passerelle up --target compose --project FOLDER")
    return Stack(folder)
