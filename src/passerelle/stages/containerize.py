"""Make an OCI image of a bento, and check the golden predictions in a container of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from passerelle.bentos.build import PASSED
from passerelle.bentos.build_secrets import build_secrets
from passerelle.bentos.containerize import BuiltImage, containerize, image_ref
from passerelle.bentos.image_options import ImageOptions
from passerelle.bentos.image_platform import is_foreign
from passerelle.bentos.push import push as push_image
from passerelle.bentos.push import registry_of
from passerelle.bentos.store import Store
from passerelle.build_settings import BuildSettings
from passerelle.errors import NotFoundError, PasserelleError, SettingsError, UsageError
from passerelle.model.golden import read_golden
from passerelle.names import GOLDEN, VERSION_LABEL, BentoTag
from passerelle.rollout.container import ContainerReport
from passerelle.rollout.container import smoke as run_container
from passerelle.stages.build import chosen_bento
from passerelle.stages.context import Context, Progress, silent, stage
from passerelle.stages.promotion_check import check_promoted_here

__all__ = ["Containerized", "ImageOptions", "run"]

BY_DEFAULT = ImageOptions()


@dataclass(frozen=True)
class Containerized:
    """An image, and what was done with it.

    Attributes:
        ran: What a hardened container of it did with the golden inputs; None without the smoke test.
        pushed: `registry/name@sha256:…`; None where it was not pushed.
    """

    built: BuiltImage
    ran: ContainerReport | None
    pushed: str | None = None


@stage
def run(
    context: Context,
    bento_tag: str | None = None,
    options: ImageOptions = BY_DEFAULT,
    *,
    registered_model: str | None = None,
    smoke: bool = True,
    push: bool = False,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Containerized:
    """Make an image of a bento; it gets its name once a container of it reproduced the golden predictions.

    Args:
        bento_tag: `name:version` in the BentoML store; by default the bento built last.
        registered_model: Whose bento that is; by default the only one in the store.
        options: Which image; `epoch` is the context's SOURCE_DATE_EPOCH where it is None.
        smoke: Whether to run it and to replay the golden inputs.
        push: Whether to push it to the registry that its name begins with.
        progress: Called with a line for what takes time.

    Raises:
        UsageError: It is to be pushed and its name has no registry, or a container of another platform is to run here.
        SettingsError: SOURCE_DATE_EPOCH is no number, or a file for the build is not usable.
        NotFoundError: The store holds no such bento, or no longer its model.
        RefusedError: This is production, and no promotion put the version there.
        IntegrityError: A golden prediction differs.
        OutsideError: No container engine answers, it cannot build or run the image, or the registry refuses it.
    """
    _check(options, smoke=smoke, push=push)
    tag = chosen_bento(context.store, bento_tag, registered_model)
    check_promoted_here(context, tag)
    epoch = _epoch(context.environment) if options.epoch is None else options.epoch
    options = replace(options, epoch=epoch, secrets=options.secrets or build_secrets(BuildSettings.read()))
    ran: list[ContainerReport] = []
    tried = {"trial": lambda engine, image: ran.append(_tried(context, tag, progress, engine, image))} if smoke else {}
    built = containerize(context.store, bento_tag=tag, options=options, dry_run=dry_run, progress=progress, **tried)
    return Containerized(
        built, replace(ran[0], image=str(built.image)) if ran else None, _push(built, progress) if push and not dry_run else None
    )


def _push(built: BuiltImage, progress: Progress) -> str:
    progress(f"{built.engine} pushes {built.image}")
    return push_image(built.engine, built.image)


def _check(options: ImageOptions, *, smoke: bool, push: bool) -> None:
    """Check what can be checked before the image is built; raises UsageError otherwise."""
    if push:
        registry_of(image_ref(options.image_name or "passerelle/bento:1"))
    if smoke and is_foreign(options.platform):
        message = f"a container of {options.platform} cannot replay the golden inputs on this machine; a roll-out replays them in each pod"
        raise UsageError(message, hint=f"passerelle containerize --platform {options.platform} --no-smoke")


def _epoch(environment: Mapping[str, str]) -> int | None:
    epoch = environment.get("SOURCE_DATE_EPOCH")
    if epoch is not None and not epoch.isdigit():
        raise SettingsError(
            f"SOURCE_DATE_EPOCH is '{epoch}', not seconds since 1970", hint="export SOURCE_DATE_EPOCH=$(git log -1 --pretty=%ct)"
        )
    return int(epoch) if epoch else None


def _tried(context: Context, tag: BentoTag, progress: Progress, engine: str, image: str) -> ContainerReport:
    """Return what a hardened container of the image did with the golden inputs of its model."""
    progress(f"{engine} runs the new image without any privilege")
    model = Store(context.store).model(tag)
    golden = read_golden(Path(model.path) / GOLDEN) if model else None
    if model is None or golden is None:
        raise NotFoundError(f"the model of the bento {tag} is gone from the BentoML store", hint="passerelle import; passerelle build")
    # Verified when it was imported and built; the container has no keys.
    environment = {name: context.environment[name] for name in PASSED if name in context.environment} | {"PASSERELLE_VERIFY": "off"}
    version = str(model.info.labels.get(VERSION_LABEL, tag.version.partition("-")[0]))
    try:
        return run_container(engine, image, golden, expected_version=version, environment=environment)
    except PasserelleError as error:
        # The image was removed with its temporary name, and its own name still means the former image.
        error.hint = f"passerelle containerize {tag} --no-smoke --image passerelle/refused:{tag.version}"
        raise
