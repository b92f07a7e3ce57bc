"""The engine's and the cluster's programs get what they need of the environment, and each call of one says so."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import passerelle
from passerelle.bentos.tool_environment import tool_environment
from tests.syntax_trees import nodes_of

SOURCE = Path(passerelle.__file__).parent
NEEDED = {
    "PATH": "/bin", "HOME": "/root", "DOCKER_HOST": "ssh://builder", "SSH_AUTH_SOCK": "/run/agent", "KUBECONFIG": "config",
    "KUBERNETES_SERVICE_HOST": "10.0.0.1", "https_proxy": "http://proxy:3128", "NO_PROXY": "localhost", "SSL_CERT_FILE": "ca.crt",
    "XDG_RUNTIME_DIR": "/run/user/1", "SOURCE_DATE_EPOCH": "0", "AWS_PROFILE": "cluster", "COMPOSE_PROJECT_NAME": "stack",
}  # fmt: skip
SECRET = {
    "AWS_SECRET_ACCESS_KEY": "s", "AWS_ACCESS_KEY_ID": "a", "MLFLOW_TRACKING_PASSWORD": "p", "PASSERELLE_API_KEY": "k", "GITHUB_TOKEN": "t",
}  # fmt: skip


def test_a_tool_gets_what_it_needs_and_no_secret() -> None:
    assert tool_environment(environment=NEEDED | SECRET) == NEEDED


def test_a_tool_gets_what_its_file_refers_to() -> None:
    given = {"SERVICE_PORT": "3001", "MINIO_PORT": "9000", "PATH": "/bin"}
    assert tool_environment({"SERVICE_PORT"}, given) == {"SERVICE_PORT": "3001", "PATH": "/bin"}


@pytest.mark.parametrize("room", ["bentos", "rollout"])
def test_every_process_of_these_rooms_is_given_its_environment(room: str) -> None:
    inherit = [
        f"{path.relative_to(SOURCE)}:{node.lineno}"
        for path in (SOURCE / room).rglob("*.py")
        if SOURCE / "bentos" / "image" not in path.parents  # these run while an image is built
        for node in nodes_of(path)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"subprocess.run", "subprocess.Popen"}
        if "env" not in {keyword.arg for keyword in node.keywords}
    ]
    assert inherit == []
