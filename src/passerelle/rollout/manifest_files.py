"""The manifests of a deployment as files for Argo CD, Flux or kubectl: the same input gives the same bytes, and no secret is among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from passerelle.errors import UsageError, shell_word
from passerelle.names import BentoTag
from passerelle.rollout.cluster import Cluster, KubernetesObject
from passerelle.rollout.digest_secret import unnamed_key
from passerelle.rollout.manifests import check_digest, with_image
from passerelle.rollout.needed_secrets import needed_secrets, pull_secrets, secrets_of_others
from passerelle.rollout.release import Release

_MARK = "# Written by `passerelle deploy --target kubernetes --render`, which writes it again."
_KUSTOMIZATION = "kustomization.yaml"


@dataclass(frozen=True)
class Rendered:
    """What `deploy --render` wrote, or would write.

    Attributes:
        files: All files of the deployment, by their names in the folder.
        written: Those that are new or other than before.
        removed: Of an earlier deployment, which this one does not have.
        secrets: Those that the namespace must hold.
        unnamed_key: Variable that names the key of the records' digests once its Secret is there; None where nothing is missing.
    """

    folder: Path
    namespace: str
    bento_tag: BentoTag
    image: str
    files: tuple[str, ...]
    written: tuple[str, ...]
    removed: tuple[str, ...]
    secrets: tuple[str, ...]
    unnamed_key: str | None
    dry_run: bool = False


def render(cluster: Cluster, release: Release, folder: Path, *, dry_run: bool = False) -> Rendered:
    """Write the manifests with the image, the model that it must hold, and a kustomization.yaml; nothing is asked of the cluster.

    Raises:
        UsageError: The image has no digest, the overlay holds a Secret, or a file of the folder is somebody else's.
    """
    check_digest(release)
    secrets = [each["metadata"]["name"] for each in cluster.objects if each["kind"] == "Secret"]
    if secrets:
        message = f"the overlay {cluster.overlay.name} holds the Secret {', '.join(secrets)}, and what is rendered is meant to be committed"
        raise UsageError(message, hint=f"kubectl --namespace {cluster.namespace} create secret generic {secrets[0]} --from-file=FILE")
    texts = manifest_texts(with_image(cluster.objects, release))
    former = _own_files(folder, texts)
    written = tuple(name for name, text in texts.items() if former.get(name) != text)
    removed = tuple(sorted(former.keys() - texts.keys()))
    if not dry_run:
        _write(folder, {name: texts[name] for name in written}, removed)
    needed = tuple(sorted({*needed_secrets(cluster.objects), *pull_secrets(cluster.objects), *secrets_of_others(cluster.objects)}))
    key = unnamed_key(cluster)
    return Rendered(
        folder, cluster.namespace, release.bento_tag, release.image, tuple(texts), written, removed, needed, key, dry_run=dry_run
    )


def manifest_texts(objects: Sequence[KubernetesObject]) -> dict[str, str]:
    """Return one file an object and a kustomization.yaml that names them, by their names."""
    texts = {f"{each['kind'].lower()}-{each['metadata']['name']}.yaml": _text(each) for each in objects}
    ordered = {name: texts[name] for name in sorted(texts)}
    kustomization = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": list(ordered)}
    return {_KUSTOMIZATION: _text(kustomization), **ordered}


def _text(content: KubernetesObject) -> str:
    return f"{_MARK}\n{yaml.safe_dump(content, sort_keys=True, allow_unicode=True, width=140)}"


def _own_files(folder: Path, texts: dict[str, str]) -> dict[str, str]:
    """Return the files of the folder that an earlier call wrote.

    Raises:
        UsageError: A file that is to be written is there already, and somebody else's; or the folder is none.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is no folder", hint=f"ls -l {shell_word(folder)}")
    try:
        found = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.yaml")) if path.is_file()}
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the files in {folder} cannot be read: {error}", hint=f"ls -l {shell_word(folder)}") from error
    own = {name: text for name, text in found.items() if text.startswith(_MARK)}
    foreign = sorted((found.keys() - own.keys()) & texts.keys())
    if foreign:
        message = f"{folder} holds {', '.join(foreign)}, which passerelle did not write; they are left as they are"
        raise UsageError(message, hint=f"git mv {shell_word(folder / foreign[0])} NAME\nls {shell_word(folder)}")
    return own


def _write(folder: Path, texts: dict[str, str], removed: Sequence[str]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            new = folder / f".{name}.new"
            new.write_text(text, encoding="utf-8")
            new.replace(folder / name)
        for name in removed:
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"the manifests cannot be written to {folder}: {error.strerror}", hint=f"ls -ld {shell_word(folder)}") from error
