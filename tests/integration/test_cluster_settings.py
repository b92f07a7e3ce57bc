"""What differs from cluster to cluster is said by settings: class, namespaces, labels and the Secrets that images are pulled with."""

from __future__ import annotations

from typing import Any

import pytest

from passerelle.cluster_settings import ClusterSettings
from passerelle.errors import NotFoundError, SettingsError
from passerelle.rollout import trial_pod
from passerelle.rollout.cluster import Cluster, find_cluster
from passerelle.rollout.cluster_objects import with_cluster_settings
from passerelle.rollout.kubernetes import deploy
from tests.engine_fixtures import ROOT
from tests.integration.cluster_in_memory import RELEASE, ClusterForTests, tried

__all__ = ["tried"]
LET_IN = "kubernetes.io/metadata.name"


def one(cluster: Cluster, kind: str) -> dict[str, Any]:
    (found,) = [each for each in cluster.objects if each["kind"] == kind]
    return found


def let_in(cluster: Cluster) -> set[str]:
    sources = [source for rule in one(cluster, "NetworkPolicy")["spec"]["ingress"] for source in rule["from"]]
    rules = [each for source in sources for each in source.get("namespaceSelector", {}).get("matchExpressions", ())]
    return {value for each in rules if each["key"] == LET_IN for value in each["values"]}


def test_each_setting_reaches_its_object_and_none_changes_nothing() -> None:
    cluster = find_cluster(ROOT, "production")
    assert with_cluster_settings(cluster, ClusterSettings.read({})).objects == cluster.objects
    chosen = with_cluster_settings(
        cluster,
        ClusterSettings.read(
            {
                "PASSERELLE_KUBERNETES_INGRESS_CLASS": "traefik",
                "PASSERELLE_KUBERNETES_INGRESS_NAMESPACE": "traefik-system",
                "PASSERELLE_KUBERNETES_MONITORING_NAMESPACE": "observability",
                "PASSERELLE_KUBERNETES_MONITOR_LABELS": "release=prometheus,team=data",
                "PASSERELLE_KUBERNETES_PULL_SECRETS": "registry,mirror",
            }
        ),
    )
    assert one(chosen, "Ingress")["spec"]["ingressClassName"] == "traefik"
    assert (let_in(cluster), let_in(chosen)) == ({"ingress-nginx", "monitoring"}, {"traefik-system", "observability"})
    for kind in ("ServiceMonitor", "PrometheusRule"):
        assert one(chosen, kind)["metadata"]["labels"].items() >= {"release": "prometheus", "team": "data"}.items()
    assert one(chosen, "Deployment")["spec"]["template"]["spec"]["imagePullSecrets"] == [{"name": "registry"}, {"name": "mirror"}]
    pod = trial_pod._pod(chosen, one(chosen, "Deployment"), [])
    assert pod["spec"]["imagePullSecrets"] == [{"name": "registry"}, {"name": "mirror"}], "the pod that tries the image pulls it too"


def test_a_pull_secret_that_is_missing_is_said_before_anything_changes() -> None:
    found = with_cluster_settings(find_cluster(ROOT, "production"), ClusterSettings.read(kubernetes_pull_secrets="registry"))
    cluster = ClusterForTests(found.overlay, found.namespace, found.objects)
    cluster.says["get secret registry"] = (0, "\n", "")
    with pytest.raises(NotFoundError, match="holds no Secret registry to pull the image with") as told:
        deploy(cluster, RELEASE, api_key="key")
    assert told.value.hint == "kubectl --namespace passerelle create secret docker-registry registry --from-file=.dockerconfigjson=FILE"
    assert list(cluster.held) == [("Namespace", "passerelle")]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PASSERELLE_KUBERNETES_PULL_SECRETS", "registry, mirror"),
        ("PASSERELLE_KUBERNETES_INGRESS_NAMESPACE", "Ingress"),
        ("PASSERELLE_KUBERNETES_MONITOR_LABELS", "release"),
    ],
)
def test_what_is_no_name_is_refused(variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=variable):
        ClusterSettings.read({variable: value})
