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
from passerelle.model.golden import read_golden
from passerelle.names import GOLDEN, VERSION_LABEL, BentoTag
from passerelle.rollout.container import ContainerReport
from passerelle.rollout.container import smoke as run_container
from passerelle.settings import StoreSettings


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
    ran: list[ContainerReport] = []

    def trial(engine: str, image: str) -> None:
        progress(f"{engine} runs the new image without any privilege")
        ran.append(_tried(store, tag, engine, image))

    tried = {"trial": trial} if smoke else {}
    built = containerize_stage(store, bento_tag=tag, wanted=wanted, dry_run=dry_run, progress=progress, **tried)
    return Containerized(built, replace(ran[0], image=str(built.image)) if ran else None)


def _tried(settings: StoreSettings, tag: BentoTag, engine: str, image: str) -> ContainerReport:
    """Return what a hardened container of the image did with the golden inputs of its model."""
    model = Store(settings).model(tag)
    golden = read_golden(Path(model.path) / GOLDEN) if model else None
    if model is None or golden is None:
        raise NotFoundError(f"the model of the bento {tag} is gone from the BentoML store", hint="passerelle import; passerelle build")
    # Verified when it was imported and built; the container has no keys.
    environment = {name: os.environ[name] for name in PASSED if name in os.environ} | {"PASSERELLE_VERIFY": "off"}
    version = str(model.info.labels.get(VERSION_LABEL, tag.version.partition("-")[0]))
    try:
        return run_container(engine, image, golden, expected_version=version, environment=environment)
    except PasserelleError as error:
        # The image is gone with its passing name, and the name that it was to get still means the former one.
        error.hint = f"to look into it: passerelle containerize {tag} --no-smoke --image passerelle/refused:{tag.version}"
        raise
