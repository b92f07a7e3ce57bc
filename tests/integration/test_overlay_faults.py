# ruff: noqa: E501 - a row of the table is a line
"""A typo in an overlay is said in one sentence, with the file and the key, by the real kustomize."""

from __future__ import annotations

import shutil
from os import pardir
from pathlib import Path

import pytest

from passerelle.errors import UsageError
from passerelle.rollout.cluster import find_cluster
from tests.engine_fixtures import ROOT

ABOVE = f"{pardir}/{pardir}"
#: What is replaced in which file of the production overlay, by what, and how the sentence ends.
TYPOS = {
    "a key": ("kustomization.yaml", "\nresources:", "\nresorces:", "kustomization.yaml, line 6: kustomize knows no key 'resorces'; did you mean 'resources'?"),
    "a key of the base": (f"{ABOVE}/base/kustomization.yaml", "\nlabels:", "\nlabel:", "base/kustomization.yaml, line 4: kustomize knows no key 'label'; did you mean 'labels'?"),
    "a file": ("kustomization.yaml", "ingress.yaml", "ingres.yaml", "kustomization.yaml, line 6 names ingres.yaml, and there is no such file or folder"),
    "a folder": ("kustomization.yaml", f"{ABOVE}/base", f"{ABOVE}/bse", f"kustomization.yaml, line 6 names {ABOVE}/bse, and there is no such file or folder"),
    "indentation": ("kustomization.yaml", "\nnamespace:", "\n namespace:", "kustomization.yaml, line 5 is no YAML: mapping values are not allowed in this context"),
    "a brace": ("service-monitor.yaml", "{name: classify}\n", "{name: classify\n", "service-monitor.yaml, line 2 is no YAML: did not find expected ',' or '}'"),
    "a kind": ("service-monitor.yaml", "\nkind:", "\nknd:", "service-monitor.yaml: the key 'kind' is missing"),
    "a type": ("kustomization.yaml", "namespace: passerelle", "namespace: [passerelle]", "the key 'namespace' holds the type array, and kustomize takes string there"),
    "a target": ("kustomization.yaml", "kind: Deployment, name: classify", "kind: Deployment, name: clasify", "a patch under 'patches' changes nothing, for there is no Deployment clasify; did you mean Deployment classify?"),
    "a path": ("kustomization.yaml", "/containers/0/", "/container/0/", "names the path /spec/template/spec/container/0/env/-, which the object does not have"),
    "an operation": ("kustomization.yaml", "op: add", "op: ad", "has the operation 'ad', which does not exist: op is add, remove, replace or test"),
    "the deployment": (f"{ABOVE}/base/deployment.yaml", "\nmetadata: {name: classify}", "\nmetadata: {name: clasify}", "it holds no Deployment classify with a container classify, which the image is put into"),
}  # fmt: skip


@pytest.mark.parametrize("typo", TYPOS)
def test_a_typo_is_said_in_one_sentence_with_its_place(typo: str, tmp_path: Path) -> None:
    name, former, new, sentence = TYPOS[typo]
    shutil.copytree(ROOT / "deploy" / "kubernetes", tmp_path / "deploy" / "kubernetes")
    path = tmp_path / "deploy" / "kubernetes" / "overlays" / "production" / name
    text = path.read_text()
    assert former in text
    path.write_text(text.replace(former, new, 1))
    with pytest.raises(UsageError) as told:
        find_cluster(tmp_path, "production")
    assert told.value.message.endswith(sentence), told.value.message
    assert "\n" not in told.value.message
    assert "accumul" not in told.value.message
