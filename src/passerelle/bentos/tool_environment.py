"""The variables that docker, podman and kubectl are run with: what they need to reach their engine or cluster, and no secret of ours."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping

_NAMES = frozenset(
    {
        "PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TERM", "TMPDIR", "SOURCE_DATE_EPOCH", "SSH_AUTH_SOCK", "DBUS_SESSION_BUS_ADDRESS",
        # Podman and Buildah.
        "REGISTRY_AUTH_FILE", "STORAGE_DRIVER", "STORAGE_OPTS", "TMP", "TEMP",
        # What a kubeconfig's own login program for a cloud may ask for; the keys of an S3 are not among them.
        "AWS_PROFILE", "AWS_REGION", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE",
        "GOOGLE_APPLICATION_CREDENTIALS", "USE_GKE_GCLOUD_AUTH_PLUGIN",
    }
)  # fmt: skip
_PREFIXES = (
    "LC_", "XDG_", "SSL_CERT_", "DOCKER_", "BUILDKIT_", "BUILDX_", "COMPOSE_", "CONTAINER_", "CONTAINERS_", "PODMAN_", "BUILDAH_",
    "STORAGE_", "REGISTRY_AUTH_", "KUBE", "AZURE_", "CLOUDSDK_",
)  # fmt: skip
#: Read in capitals and in small letters.
_PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy", "no_proxy"})


def tool_environment(also: Collection[str] = (), environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what a tool is given of an environment.

    Args:
        also: Names of further variables, such as those that a compose.yaml refers to.
        environment: By default that of this process.
    """
    given = os.environ if environment is None else environment
    return {
        name: value
        for name, value in given.items()
        if name in _NAMES or name.startswith(_PREFIXES) or name.lower() in _PROXIES or name in also
    }
