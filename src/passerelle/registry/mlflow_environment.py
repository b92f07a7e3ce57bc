"""What MLflow's and boto3's own code reads from the environment, set for the length of a call: the only place that writes `os.environ`.

MLflow takes the address of its server as an argument, but reads the rest from the environment of the process: the keys
and the endpoint of S3, the user and the password of the server, retries and timeouts.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from typing import Any

import boto3
from mlflow.store.artifact import s3_artifact_repo
from mlflow.tracking._tracking_service.utils import _use_tracking_uri

from passerelle.proxy_variables import loopback_direct
from passerelle.settings import MlflowSettings, S3Settings

_PREFIXES = ("MLFLOW_", "AWS_")
#: MLflow's own retries take minutes, and its progress bars and its telemetry are of no use here.
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
#: What boto3 and the HTTP library below it read when a client is made.
_SEEN_BY_CLIENTS = re.compile(r"AWS_|BOTO|MLFLOW_S3_|(?i:[a-z]+_proxy$)|(REQUESTS|CURL)_CA_BUNDLE$|SSL_CERT_|HOME$").match
#: The environment is the process's: calls for two servers wait for each other. Re-entrant, for a call within a call.
_LOCK = threading.RLock()


class MlflowEnvironment:
    """The environment of all calls for one MLflow server and its S3.

    Args:
        server: Its address.
        s3: Where the artifacts are, and the keys.
        variables: Which of MLFLOW_… and AWS_… hold, in place of those of this process; None adds to those of this process.
    """

    def __init__(self, server: MlflowSettings, s3: S3Settings, variables: Mapping[str, str] | None = None) -> None:
        given = {name: value for name, value in (variables or {}).items() if name.startswith(_PREFIXES)}
        self._alone = variables is not None
        self._values = {**given, **s3.variables(), "MLFLOW_TRACKING_URI": server.tracking_uri}
        self._server = server.tracking_uri
        self._s3 = s3
        self._session: boto3.Session | None = None
        #: MLflow's function for an S3 client, which keeps the clients that it made, and what it saw then.
        self._s3_clients: tuple[object, frozenset[tuple[str, str]]] | None = None

    @contextmanager
    def calling(self, *, artifacts: bool = False) -> Iterator[None]:
        """Let MLflow's code that is called inside see this environment and no other; the former one is back afterwards.

        Args:
            artifacts: Whether artifacts are read or written, for which boto3's session and MLflow's S3 client change too: MLflow keeps
                a client whatever keys it was made with.
        """
        with _LOCK, ExitStack() as stack:
            stack.enter_context(self._variables())
            # In MLflow functions without a server argument, an address that was set in code takes precedence over the variable.
            stack.enter_context(_use_tracking_uri(self._server))
            if artifacts:
                stack.enter_context(self._session_of_this_s3())
            yield

    @contextmanager
    def _variables(self) -> Iterator[None]:
        hidden = [name for name in os.environ if self._alone and name.startswith(_PREFIXES)]
        variables = {**{name: value for name, value in _QUIET.items() if self._alone or name not in os.environ}, **self._values}
        variables |= loopback_direct()
        former = {name: os.environ.get(name) for name in {*hidden, *variables}}
        logger = logging.getLogger("mlflow")
        level = logger.level
        for name in hidden:
            del os.environ[name]
        os.environ.update(variables)
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)
            for name, value in former.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value

    @contextmanager
    def _session_of_this_s3(self) -> Iterator[None]:
        former = boto3.DEFAULT_SESSION
        if self._session is None:
            secret = self._s3.secret_access_key
            self._session = boto3.Session(
                aws_access_key_id=self._s3.access_key_id,
                aws_secret_access_key=secret.get_secret_value() if secret else None,
                region_name=self._s3.region,
            )
        ours, theirs = self._kept_clients(), s3_artifact_repo._cached_get_s3_client
        boto3.DEFAULT_SESSION, s3_artifact_repo._cached_get_s3_client = self._session, ours
        try:
            yield
        finally:
            boto3.DEFAULT_SESSION, s3_artifact_repo._cached_get_s3_client = former, theirs

    def _kept_clients(self) -> Any:
        """Return MLflow's function for an S3 client, with clients of its own: one takes as long to make as ten requests."""
        # A client goes on with the variables that it was made with, and its connections do not outlive a fork.
        seen = frozenset({(name, value) for name, value in os.environ.items() if _SEEN_BY_CLIENTS(name)} | {("pid", str(os.getpid()))})
        if self._s3_clients is None or self._s3_clients[1] != seen:
            self._s3_clients = lru_cache(s3_artifact_repo._cached_get_s3_client.__wrapped__), seen
        return self._s3_clients[0]
