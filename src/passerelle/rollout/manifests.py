"""The objects of an overlay, changed as a deployment asks: variables, the image, and what it is said to hold."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from passerelle.cluster_settings import DeploymentSettings
from passerelle.errors import UsageError
from passerelle.rollout.cluster import NAME, Cluster, KubernetesObject, service_deployments
from passerelle.rollout.release import Release
from passerelle.settings import variable_of

_CANDIDATE = "PASSERELLE_FOLLOW_CANDIDATE"
_DOORS = "PASSERELLE_DOORS"
BENTO_TAG, ARTIFACT_DIGEST = "passerelle/bento-tag", "passerelle/artifact-digest"
_EXPECTED = variable_of(DeploymentSettings, "expected_digest")


def with_candidate(cluster: Cluster, setting: str | None) -> Cluster:
    """Return the cluster whose pods follow the candidate as this setting says, where the overlay lets them follow.

    Args:
        setting: Value of PASSERELLE_FOLLOW_CANDIDATE; None leaves it to the overlay.
    """
    if setting is None or not variables_of(cluster).get("PASSERELLE_FOLLOW"):
        return cluster
    return with_variables(cluster, {_CANDIDATE: setting})


def with_doors(cluster: Cluster, setting: str | None) -> Cluster:
    """Return the cluster whose pods answer these foreign protocols.

    Args:
        setting: Value of PASSERELLE_DOORS; None leaves it to the overlay.
    """
    return cluster if setting is None else with_variables(cluster, {_DOORS: setting})


def with_variables(cluster: Cluster, variables: Mapping[str, str]) -> Cluster:
    """Return the cluster whose pods get these variables, in place of those of the overlay with the same names."""
    copies: list[KubernetesObject] = json.loads(json.dumps(cluster.objects))
    for each in service_deployments(copies):
        for container in each["spec"]["template"]["spec"]["containers"]:
            if container["name"] == NAME:
                container["env"] = _with_values(container.get("env", ()), variables)
    return replace(cluster, objects=copies)


def _with_values(entries: Iterable[KubernetesObject], variables: Mapping[str, str]) -> list[KubernetesObject]:
    others = [entry for entry in entries if entry["name"] not in variables]
    return [*others, *({"name": name, "value": value} for name, value in variables.items())]


def check_digest(release: Release) -> None:
    """Check that the image is named by a digest; raises UsageError otherwise."""
    if "@sha256:" not in release.image:
        hint = f"docker push {release.image}; passerelle deploy --target kubernetes --image IMAGE@DIGEST"
        raise UsageError(f"the image {release.image} has no digest of a registry; a tag may name another image tomorrow", hint=hint)


def with_image(objects: Sequence[KubernetesObject], release: Release) -> list[KubernetesObject]:
    """Return the objects with the image in the deployment, and what it is to hold as annotations.

    The pods are given the digest of the model too: one whose image holds another is never ready, whoever applies the objects.
    """
    copies: list[KubernetesObject] = json.loads(json.dumps(objects))
    for each in service_deployments(copies):
        each["metadata"].setdefault("annotations", {})["kubernetes.io/change-cause"] = f"{release.bento_tag} {release.image}"
        template = each["spec"]["template"]
        template["metadata"].setdefault("annotations", {})[BENTO_TAG] = str(release.bento_tag)
        expected = {_EXPECTED: release.artifact_digest} if release.artifact_digest else {}
        template["metadata"]["annotations"] |= dict.fromkeys([ARTIFACT_DIGEST] if expected else [], release.artifact_digest)
        for container in template["spec"]["containers"]:
            if container["name"] == NAME:
                container["image"] = release.image
                container["env"] = _with_values(container.get("env", ()), expected)
    return copies


def variables_of(cluster: Cluster) -> dict[str, str]:
    """Return the variables that the overlay gives the pods by their values."""
    specs = [each["spec"]["template"]["spec"] for each in service_deployments(cluster.objects)]
    entries = [entry for spec in specs for each in spec["containers"] if each["name"] == NAME for entry in each.get("env", ())]
    return {entry["name"]: entry["value"] for entry in entries if entry.get("value") is not None}
