"""The Secret with the key of the records' digests on a cluster: made where the namespace holds none, and never changed."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import yaml

from passerelle.log_settings import LogSettings
from passerelle.rollout.cluster import NAME, Cluster, last_words, service_deployments
from passerelle.settings import variable_of

SECRET, KEY = "classify-log", "digest-key"
_NAMED = (variable_of(LogSettings, "log_digest_key"), variable_of(LogSettings, "log_digest_key_file"))


def digest_variables(cluster: Cluster, *, dry_run: bool, progress: Callable[[str], None]) -> dict[str, str]:
    """Return the variable that names the key, made where it is missing; none where the pods record nothing or have a key of their own.

    A cluster that refuses the Secret is no reason to fail: the records then have no digest, which `progress` is told.

    Args:
        dry_run: Whether a missing key is only supposed to be made.
    """
    mounted = next(_mounts(cluster), None)
    if mounted is None:
        return {}
    problem = None if dry_run else _create(cluster)
    if problem is not None:
        progress(f"the Secret {SECRET} cannot be made, so that the records in the prediction log have no digest: {problem}")
        return {}
    return {_NAMED[1]: f"{mounted}/{KEY}"}


def unnamed_key(cluster: Cluster) -> str | None:
    """Return the variable, with its value, that the overlay has to set where nobody else names the key; None where nothing is to be set."""
    mounted = next(_mounts(cluster), None)
    return None if mounted is None else f"{_NAMED[1]}={mounted}/{KEY}"


def _mounts(cluster: Cluster) -> Iterator[str]:
    """Yield where containers of the service mount the Secret, those aside that record nothing or name a key themselves."""
    for pod in (each["spec"]["template"]["spec"] for each in service_deployments(cluster.objects)):
        volumes = [each["name"] for each in pod.get("volumes", ()) if each.get("secret", {}).get("secretName") == SECRET]
        for container in (each for each in pod["containers"] if each["name"] == NAME):
            variables = {entry["name"]: entry.get("value") for entry in container.get("env", ())}
            if variables.get(variable_of(LogSettings, "prediction_log")) and not set(_NAMED) & set(variables):
                yield from (each["mountPath"] for each in container.get("volumeMounts", ()) if each["name"] in volumes)


def _create(cluster: Cluster) -> str | None:
    """Make the Secret where there is none, and return what went wrong, or None."""
    found = cluster.kubectl("get", "secret", SECRET, "--ignore-not-found", "--output", "name")
    if found.returncode != 0 or found.stdout.strip():
        return last_words(found) if found.returncode != 0 else None
    metadata = {"name": SECRET, "namespace": cluster.namespace}
    content = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {KEY: secrets.token_urlsafe(30)}}
    # From its input: arguments can be read by every user of this machine.
    done = cluster.kubectl("create", "--filename", "-", given=yaml.safe_dump(content))
    return None if done.returncode == 0 or "AlreadyExists" in done.stderr else last_words(done)
