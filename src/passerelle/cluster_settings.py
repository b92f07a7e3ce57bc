"""What differs from one Kubernetes cluster to the next, so that no overlay has to be edited for it."""

from __future__ import annotations

from pydantic import Field

from passerelle.settings import Settings

_NAME = "[a-z0-9]([a-z0-9.-]*[a-z0-9])?"
_LABEL = r"[A-Za-z0-9][A-Za-z0-9./_-]*=[A-Za-z0-9._-]*"


class ClusterSettings(Settings):
    """What `deploy --target kubernetes` puts into the objects of an overlay."""

    kubernetes_ingress_class: str = Field(
        default="",
        pattern=f"^({_NAME})?$",
        description="Class of the Ingress; empty leaves it to the overlay or the cluster.",
    )
    kubernetes_ingress_namespace: str = Field(
        default="",
        pattern=f"^({_NAME})?$",
        description="Namespace of the ingress controller, which the network policy lets in; empty leaves `ingress-nginx`.",
    )
    kubernetes_monitoring_namespace: str = Field(
        default="",
        pattern=f"^({_NAME})?$",
        description="Namespace of Prometheus, which the network policy lets in; empty leaves `monitoring`.",
    )
    kubernetes_monitor_labels: str = Field(
        default="",
        pattern=f"^({_LABEL}(,{_LABEL})*)?$",
        description="Labels of the ServiceMonitor and the PrometheusRule by which Prometheus' operator finds them, such as"
        " `release=prometheus`, with commas between.",
    )
    kubernetes_pull_secrets: str = Field(
        default="",
        pattern=f"^({_NAME}(,{_NAME})*)?$",
        description="Secrets that the image is pulled with (`imagePullSecrets`), with commas between.",
    )

    @property
    def monitor_labels(self) -> dict[str, str]:
        """The labels by their names."""
        return dict(pair.split("=", 1) for pair in self.kubernetes_monitor_labels.split(",") if pair)

    @property
    def pull_secrets(self) -> tuple[str, ...]:
        """The names of the Secrets."""
        return tuple(name for name in self.kubernetes_pull_secrets.split(",") if name)


class DeploymentSettings(Settings):
    """What a deployment says of the model in its image; read inside the bento."""

    expected_digest: str = Field(
        default="",
        pattern="^(sha256:[0-9a-f]{64})?$",
        description="Artifact digest that the model in the image must have, or the service is never ready; `deploy` sets it on Kubernetes."
        " Empty accepts any.",
    )
