"""A deployment that Argo CD, Flux or Helm keeps is known by its marks and by who applies its image; people with kubectl may go on."""

from __future__ import annotations

from typing import Any

import pytest

from passerelle.rollout.declarative_owner import owner_of

IMAGE: dict[str, Any] = {"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"classify"}': {".": {}, "f:image": {}}}}}}}
REPLICAS: dict[str, Any] = {"f:spec": {"f:replicas": {}}}


def deployment(*managers: tuple[str, str, dict[str, Any]], **marks: str) -> dict[str, Any]:
    fields = [{"manager": name, "operation": operation, "fieldsV1": owned} for name, operation, owned in managers]
    return {"metadata": {"name": "classify", "annotations": marks, "managedFields": fields}}


@pytest.mark.parametrize(
    ("found", "owner"),
    [
        (deployment(("passerelle", "Apply", IMAGE)), None),
        (deployment(("passerelle", "Apply", IMAGE), ("kubectl-rollout", "Update", IMAGE), ("kubectl", "Apply", IMAGE)), None),
        (deployment(("passerelle", "Apply", IMAGE), ("horizontal-pod-autoscaler", "Apply", REPLICAS)), None),
        (deployment(("somebodys-page", "Update", IMAGE)), None),
        (deployment(("argocd-controller", "Update", IMAGE)), "Argo CD"),
        (deployment(("argocd-controller", "Update", REPLICAS)), None),
        (deployment(("kustomize-controller", "Apply", IMAGE)), "Flux"),
        (deployment(("fleet", "Apply", IMAGE)), "the field manager fleet"),
        (deployment(**{"argocd.argoproj.io/tracking-id": "comments:apps/Deployment:passerelle/classify"}), "Argo CD comments"),
        (deployment(**{"kustomize.toolkit.fluxcd.io/name": "comments"}), "Flux, Kustomization comments"),
        (deployment(**{"meta.helm.sh/release-name": "comments"}), "Helm, release comments"),
    ],
)
def test_who_keeps_a_deployment(found: dict[str, Any], owner: str | None) -> None:
    assert owner_of(found) == owner
