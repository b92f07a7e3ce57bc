"""`deploy`, to each of the places that it knows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from passerelle.bentos.engine import pushed_as
from passerelle.cli import run_bentos, run_stack, show, show_stack
from passerelle.cli.connect import bento_store, read_state
from passerelle.cli.output import Output
from passerelle.cli.run_bentos import chosen_bento
from passerelle.errors import UsageError
from passerelle.rollout import kubernetes
from passerelle.rollout.cluster import find_cluster
from passerelle.rollout.kubernetes import ClusterDeployment
from passerelle.settings import ClientSettings


@dataclass(frozen=True)
class How:
    """The options of `deploy`, each of which belongs to one target."""

    port: int = 0
    stop: bool = False
    init: bool = False
    overlay: str | None = None
    image: str | None = None
    project: Path = Path()


_OF = {"port": "local", "stop": "local", "init": "compose", "overlay": "kubernetes", "image": "kubernetes"}


def deploy(output: Output, target: str, bento_tag: str | None, how: How, *, dry_run: bool) -> None:
    """Deploy the bento that was named, or the one built last.

    Raises:
        UsageError: An option is given that belongs to another target.
    """
    for option, of in _OF.items():
        if getattr(how, option) and of != target:
            raise UsageError(f"--{option} belongs to --target {of}", hint=f"passerelle deploy --target {of} --{option}")
    if target == "kubernetes":
        return show_stack.cluster_deployment(output, _to_kubernetes(output, bento_tag, how, dry_run=dry_run))
    if target == "compose":
        return show_stack.stack_deployment(output, run_stack.deploy(output, bento_tag, how.project, init=how.init, dry_run=dry_run))
    return show.deployment(output, run_bentos.deploy(bento_tag, how.port, stop=how.stop, dry_run=dry_run))


def _to_kubernetes(output: Output, bento_tag: str | None, how: How, *, dry_run: bool) -> ClusterDeployment:
    cluster = find_cluster(how.project, how.overlay or "development")
    tag = chosen_bento(bento_store(read_state()), bento_tag)
    release = run_stack.release_of(tag, dry_run=dry_run, output=output, image=how.image)
    if how.image is None:
        release = replace(release, image=pushed_as(release.image) or release.image)
    key = ClientSettings.read().api_key
    secret = key.get_secret_value() if key else None
    return kubernetes.deploy(cluster, release, api_key=secret, dry_run=dry_run, progress=output.progress)
