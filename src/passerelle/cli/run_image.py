"""What `containerize` needs before and after its stage."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from passerelle.bentos.build import PASSED
from passerelle.bentos.containerize import BuiltImage, Wanted
from passerelle.bentos.containerize import containerize as containerize_stage
from passerelle.bentos.store import Store
from passerelle.cli.connect import bento_store, read_state
from passerelle.cli.run_bentos import chosen_bento
from passerelle.errors import NotFoundError, PasserelleError, SettingsError
from passerelle.rollout.container import ContainerReport
from passerelle.rollout.container import smoke as run_container
from passerelle.serving.golden import read_golden


@dataclass(frozen=True)
class Containerized:
    """An image, and what a hardened container of it did with the golden inputs; None where that was not asked for."""

    built: BuiltImage
    ran: ContainerReport | None


def containerize(bento_tag: str | None, wanted: Wanted, *, smoke: bool, dry_run: bool, progress: Callable[[str], None]) -> Containerized:
    """Make an image of the bento that was named, or of the one built last, and hold a container of it to the golden predictions."""
    store = bento_store(read_state())
    tag = chosen_bento(store, bento_tag)
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    if epoch is not None and not epoch.isdigit():
        raise SettingsError(
            f"SOURCE_DATE_EPOCH is « {epoch} », not seconds since 1970", hint="export SOURCE_DATE_EPOCH=$(git log -1 --pretty=%ct)"
        )
    wanted = replace(wanted, epoch=int(epoch) if epoch else None)
    built = containerize_stage(store, bento_tag=tag, wanted=wanted, dry_run=dry_run, progress=progress)
    if dry_run or not smoke or not built.created:
        return Containerized(built, None)
    progress(f"{built.engine} runs {built.image} without any privilege")
    model = Store(store).model(tag)
    golden = read_golden(Path(model.path) / "golden.json") if model else None
    if model is None or golden is None:
        raise NotFoundError(f"the model of the bento {tag} is gone from the BentoML store", hint="passerelle import; passerelle build")
    # Verified when it was imported and built; the container has no keys.
    environment = {name: os.environ[name] for name in PASSED if name in os.environ} | {"PASSERELLE_VERIFY": "off"}
    version = str(model.info.labels.get("passerelle.version", tag.version.partition("-")[0]))
    try:
        return Containerized(
            built, run_container(built.engine, str(built.image), golden, expected_version=version, environment=environment)
        )
    except PasserelleError:
        # Without its bill of materials the image does not count as made: the same command makes and tries it again.
        if built.sbom is not None:
            built.sbom.unlink(missing_ok=True)
        raise
