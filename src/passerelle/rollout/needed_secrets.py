"""The Secrets that the pods mount: a pod that lacks one waits for ever."""

from __future__ import annotations

from collections.abc import Sequence

from passerelle.errors import NotFoundError, OutsideError
from passerelle.rollout.cluster import Cluster, KubernetesObject, last_words


def needed_secrets(objects: Sequence[KubernetesObject]) -> dict[str, list[str]]:
    """Return the names of the Secrets that pods mount, those that they can do without aside, each with its keys."""
    specs = [each["spec"]["template"]["spec"] for each in objects if each["kind"] == "Deployment"]
    mounted = [volume["secret"] for spec in specs for volume in spec.get("volumes", ()) if "secret" in volume]
    return {each["secretName"]: [item["key"] for item in each.get("items", ())] for each in mounted if not each.get("optional")}


def pull_secrets(objects: Sequence[KubernetesObject]) -> list[str]:
    """Return the names of the Secrets that images are pulled with."""
    specs = [each["spec"]["template"]["spec"] for each in objects if each["kind"] == "Deployment"]
    accounts = [each for each in objects if each["kind"] == "ServiceAccount"]
    return sorted({entry["name"] for each in [*specs, *accounts] for entry in each.get("imagePullSecrets", ())})


def secrets_of_others(objects: Sequence[KubernetesObject]) -> list[str]:
    """Return the names of the Secrets that the ingress controller and Prometheus' operator read."""
    tls = [entry for each in objects if each["kind"] == "Ingress" for entry in each["spec"].get("tls", ())]
    endpoints = [endpoint for each in objects if each["kind"] == "ServiceMonitor" for endpoint in each["spec"]["endpoints"]]
    credentials = [endpoint.get("authorization", {}).get("credentials", {}) for endpoint in endpoints]
    return sorted({*(entry["secretName"] for entry in tls if "secretName" in entry), *(each["name"] for each in credentials if each)})


def check_secrets(cluster: Cluster) -> None:
    """Check that every Secret that the pods need exists; raises NotFoundError otherwise: a pod without one waits for ever."""
    for name in pull_secrets(cluster.objects):
        if not _is_there(cluster, name):
            hint = f"kubectl --namespace {cluster.namespace} create secret docker-registry {name} --from-file=.dockerconfigjson=FILE"
            raise NotFoundError(f"the namespace {cluster.namespace} holds no Secret {name} to pull the image with", hint=hint)
    for name, keys in sorted(needed_secrets(cluster.objects).items()):
        if not _is_there(cluster, name):
            files = " ".join(f"--from-file={key}=FILE" for key in keys) or "--from-file=FILE"
            make_keys = "passerelle keys make NAME; " if "keys.json" in keys else ""
            hint = f"{make_keys}kubectl --namespace {cluster.namespace} create secret generic {name} {files}"
            raise NotFoundError(f"the namespace {cluster.namespace} holds no Secret {name}", hint=hint)


def _is_there(cluster: Cluster, name: str) -> bool:
    done = cluster.kubectl("get", "secret", name, "--ignore-not-found", "--output", "name")
    if done.returncode != 0:
        raise OutsideError(
            f"whether the namespace {cluster.namespace} holds the Secret {name} cannot be found out: {last_words(done)}",
            hint=f"kubectl --namespace {cluster.namespace} auth can-i get secrets",
        )
    return bool(done.stdout.strip())
