"""The objects of an overlay as one cluster needs them: its ingress controller, its Prometheus, and how it pulls images."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace

from passerelle.cluster_settings import ClusterSettings
from passerelle.rollout.cluster import NAME, Cluster, KubernetesObject

_NAMESPACE_LABEL = "kubernetes.io/metadata.name"
#: The namespaces that the base's network policy lets in.
_CONTROLLER, _PROMETHEUS = "ingress-nginx", "monitoring"


def with_cluster_settings(cluster: Cluster, settings: ClusterSettings) -> Cluster:
    """Return the cluster whose objects are changed as the settings say; one that is not set leaves them as the overlay has them."""
    copies = [copy.deepcopy(each) for each in cluster.objects]
    for each in copies:
        change = _CHANGES.get(each["kind"])
        if change is not None:
            change(each, settings)
    return replace(cluster, objects=copies)


def _ingress(each: KubernetesObject, settings: ClusterSettings) -> None:
    if settings.kubernetes_ingress_class:
        each["spec"]["ingressClassName"] = settings.kubernetes_ingress_class


def _network_policy(each: KubernetesObject, settings: ClusterSettings) -> None:
    if each["metadata"]["name"] != NAME:
        return
    chosen = {_CONTROLLER: settings.kubernetes_ingress_namespace, _PROMETHEUS: settings.kubernetes_monitoring_namespace}
    for former, namespace in chosen.items():
        if namespace:
            _let_in(each, former, namespace)


def _let_in(policy: KubernetesObject, former: str, namespace: str) -> None:
    """Let a namespace in, in place of the base's where the overlay has left that."""
    sources = [source.get("namespaceSelector", {}) for rule in policy["spec"]["ingress"] for source in rule["from"]]
    values = [each["values"] for source in sources for each in source.get("matchExpressions", ()) if each["key"] == _NAMESPACE_LABEL]
    for names in values[:1]:
        names[:] = [*(name for name in names if name not in (former, namespace)), namespace]
    if not values:
        selector = {"namespaceSelector": {"matchLabels": {_NAMESPACE_LABEL: namespace}}}
        policy["spec"]["ingress"][0]["from"].append(selector)


def _monitor(each: KubernetesObject, settings: ClusterSettings) -> None:
    if settings.monitor_labels:
        each["metadata"]["labels"] = {**each["metadata"].get("labels", {}), **settings.monitor_labels}


def _deployment(each: KubernetesObject, settings: ClusterSettings) -> None:
    spec = each["spec"]["template"]["spec"]
    there = [entry["name"] for entry in spec.get("imagePullSecrets", ())]
    names = list(dict.fromkeys([*there, *settings.pull_secrets]))
    if names:
        spec["imagePullSecrets"] = [{"name": name} for name in names]


_CHANGES: Mapping[str, Callable[[KubernetesObject, ClusterSettings], None]] = {
    "Ingress": _ingress,
    "NetworkPolicy": _network_policy,
    "ServiceMonitor": _monitor,
    "PrometheusRule": _monitor,
    "Deployment": _deployment,
}
