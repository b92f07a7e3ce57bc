"""The Secrets that the pods mount: a pod that lacks one waits for ever."""

from __future__ import annotations

from passerelle.errors import NotFoundError, OutsideError
from passerelle.rollout.cluster import Cluster, last_words


def check_secrets(cluster: Cluster) -> None:
    """Check that every Secret that the pods need exists; raises NotFoundError otherwise: a pod without one waits for ever."""
    pods = [each["spec"]["template"]["spec"] for each in cluster.objects if each["kind"] == "Deployment"]
    mounted = [volume["secret"] for spec in pods for volume in spec.get("volumes", ()) if "secret" in volume]
    mounted = [each for each in mounted if not each.get("optional")]
    secrets = {each["secretName"]: [item["key"] for item in each.get("items", ())] for each in mounted}
    for name, keys in sorted(secrets.items()):
        done = cluster.kubectl("get", "secret", name, "--ignore-not-found", "--output", "name")
        if done.returncode != 0:
            raise OutsideError(
                f"whether the namespace {cluster.namespace} holds the Secret {name} cannot be found out: {last_words(done)}",
                hint=f"kubectl --namespace {cluster.namespace} auth can-i get secrets",
            )
        if not done.stdout.strip():
            files = " ".join(f"--from-file={key}=FILE" for key in keys) or "--from-file=FILE"
            make_keys = "passerelle keys make NAME; " if "keys.json" in keys else ""
            hint = f"{make_keys}kubectl --namespace {cluster.namespace} create secret generic {name} {files}"
            raise NotFoundError(f"the namespace {cluster.namespace} holds no Secret {name}", hint=hint)
