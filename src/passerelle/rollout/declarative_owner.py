"""What else keeps the deployment as a repository says: a direct roll-out and it would undo each other."""

from __future__ import annotations

from passerelle.errors import UsageError
from passerelle.rollout.cluster import NAME, Cluster, KubernetesObject
from passerelle.rollout.release import Release

#: Labels and annotations by which an object is known to belong to one of them, each with what it names.
_MARKS = {
    "argocd.argoproj.io/tracking-id": "Argo CD",
    "argocd.argoproj.io/instance": "Argo CD, application",
    "kustomize.toolkit.fluxcd.io/name": "Flux, Kustomization",
    "helm.toolkit.fluxcd.io/name": "Flux, HelmRelease",
    "meta.helm.sh/release-name": "Helm, release",
}
#: Field managers of those that do not use server-side apply.
_MANAGERS = {
    "argocd-controller": "Argo CD", "argocd-application-controller": "Argo CD", "kustomize-controller": "Flux", "helm-controller": "Flux",
    "helm": "Helm",
}  # fmt: skip
_OURS = "passerelle"


def refuse_if_owned(cluster: Cluster, deployment: KubernetesObject | None, release: Release) -> None:
    """Check that nothing else applies the deployment from a repository.

    Raises:
        UsageError: Something does; says what, and how to render the manifests for it.
    """
    owner = owner_of(deployment) if deployment is not None else None
    if owner is not None:
        raise UsageError(
            f"{cluster.namespace}/{NAME} is kept by {owner}, which would undo a direct roll-out; commit rendered manifests instead",
            hint=f"passerelle deploy {release.bento_tag} --target kubernetes --overlay {cluster.overlay.name} --image {release.image}"
            " --render FOLDER",
        )


def owner_of(deployment: KubernetesObject) -> str | None:
    """Return what applies the deployment besides passerelle and people with kubectl, or None."""
    metadata = deployment.get("metadata") or {}
    marks = {**(metadata.get("labels") or {}), **(metadata.get("annotations") or {})}
    for mark, owner in _MARKS.items():
        if mark in marks:
            return f"{owner} {str(marks[mark]).partition(':')[0]}"
    for entry in metadata.get("managedFields") or ():
        manager = str(entry.get("manager", ""))
        applies = entry.get("operation") == "Apply" and not manager.startswith("kubectl")
        if manager != _OURS and (applies or manager in _MANAGERS) and _owns_image(entry.get("fieldsV1") or {}):
            return _MANAGERS.get(manager, f"the field manager {manager}")
    return None


def _owns_image(fields: KubernetesObject) -> bool:
    for name in ("f:spec", "f:template", "f:spec", "f:containers", f'k:{{"name":"{NAME}"}}'):
        fields = fields.get(name) or {}
    return "f:image" in fields
