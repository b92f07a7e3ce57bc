"""Free old bentos, bento models and images of this machine, which import, build and containerize can make again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from passerelle.bentos.engine import find_engine
from passerelle.bentos.old_images import EngineImage, images_in_containers, remove_image, service_images
from passerelle.bentos.store import Store, latest_bento, latest_bento_model
from passerelle.bentos.store_entries import StoreEntry, models_of_foreign_bentos, remove_entry, store_entries
from passerelle.errors import OutsideError, UsageError
from passerelle.names import BentoTag, ModelVersionRef
from passerelle.registry.client import PRODUCTION_STAGE, Registry
from passerelle.rollout.service_state import recorded_services
from passerelle.rollout.stack import find_stack
from passerelle.stages.context import Context, Progress, silent, stage
from passerelle.stages.prune import pruner_context

Piece = StoreEntry | EngineImage


@dataclass(frozen=True)
class LocalOptions:
    """What is kept.

    Attributes:
        keep: How many of the newest versions of each registered model.
        unknown: Whether versions are freed that MLflow does not know, as after their deletion.
    """

    keep: int = 3
    unknown: bool = False


@dataclass(frozen=True)
class LocalPiece:
    """An image, a bento or a bento model.

    Attributes:
        name: Its name in the engine, or its tag in the store.
        why: It stays; empty where it was freed.
    """

    kind: Literal["image", "bento", "model"]
    name: str
    size_bytes: int
    why: str = ""


@dataclass(frozen=True)
class LocallyPruned:
    """What was freed on this machine, or would be.

    Attributes:
        engine: Whose images were looked at; None where none answers.
        no_engine: Why none were.
    """

    freed: tuple[LocalPiece, ...]
    kept: tuple[LocalPiece, ...]
    engine: str | None
    no_engine: str
    keep: int
    dry_run: bool = False

    @property
    def changed(self) -> bool:
        """Whether anything was to do."""
        return bool(self.freed)


@dataclass(frozen=True)
class _Use:
    """What services and containers use: tags of bentos, names and digests of images, and models of bentos that are not ours."""

    tags: frozenset[str]
    images: frozenset[str]
    models: frozenset[BentoTag]


@stage
def run(
    context: Context,
    options: LocalOptions,
    *,
    target: str = "embedded",
    project: Path = Path(),
    dry_run: bool = False,
    progress: Progress = silent,
) -> LocallyPruned:
    """Free what no alias, deployment or container uses, and what is older than the newest versions.

    The store's lock is held from the look to the removal: an import, a build or a copy for an image waits, and so does this.

    Args:
        target: `compose` to ask the MLflow of the project's stack.
        project: Whose stack may serve a bento.

    Raises:
        UsageError: MLflow knows none of the versions: it is another server.
        BusyError: An import or a build has held the store for five minutes.
        OutsideError: MLflow does not answer, or the engine does not list what it holds; nothing was removed.
    """
    here = pruner_context(context, target, project)
    store = Store(here.store)
    engine, no_engine = _engine()
    progress("what the store and the engine hold, and what MLflow says of it")
    look = partial(_look, here, store, engine, project, options)
    if dry_run:
        free, kept = look()
        return LocallyPruned(tuple(map(_described, free)), kept, engine, no_engine, options.keep, dry_run=True)
    freed, refused = [], []
    with store.staging() as staging:
        free, kept = look()
        for each in free:
            described = _described(each)
            refusal = _removed(each, engine, store, staging)
            refused += [_described(each, f"{engine} refuses: {refusal}")] if refusal else []
            freed += [] if refusal else [described]
    return LocallyPruned(tuple(freed), (*kept, *refused), engine, no_engine, options.keep)


def _engine() -> tuple[str | None, str]:
    try:
        return find_engine(), ""
    except OutsideError as error:
        return None, error.message


def _look(
    context: Context, store: Store, engine: str | None, project: Path, options: LocalOptions
) -> tuple[list[Piece], tuple[LocalPiece, ...]]:
    """Return what is to be freed, images before bentos before models, and what stays."""
    registry, images = context.registry, service_images(engine, store) if engine else ()
    pieces: tuple[Piece, ...] = (*images, *store_entries(store))
    names = sorted({each.ref.registered_model for each in pieces})
    known = {name: _versions(registry, name) for name in names}
    _check_known(pieces, known, options)
    needed = {ref: why for name in names for ref, why in _needed(context, name, pieces, known[name], options.keep).items()}
    use = _use(context, store, engine, images, project)
    unknown = "" if options.unknown else "MLflow has no such version; --unknown includes it"
    free: list[Piece] = []
    kept = []
    for each in pieces:
        reason = _used(each, use) or (needed.get(each.ref, "") if _is_known(each.ref, known) else unknown)
        if reason:
            kept.append(_described(each, reason))
        else:
            free.append(each)
    return free, tuple(kept)


def _versions(registry: Registry, name: str) -> Mapping[int, tuple[str, str]]:
    """Return the run and the stage of each version of a registered model."""
    return {info.ref.version: (info.ref.run_id, info.stage) for info in registry.versions(name)}


def _is_known(ref: ModelVersionRef, known: Mapping[str, Mapping[int, tuple[str, str]]]) -> bool:
    """Return whether MLflow has this version, of this run: a number alone names no version for ever."""
    found = known[ref.registered_model].get(ref.version)
    return found is not None and found[0] == ref.run_id


def _check_known(pieces: Iterable[Piece], known: Mapping[str, Mapping[int, tuple[str, str]]], options: LocalOptions) -> None:
    refs = {each.ref for each in pieces}
    if options.unknown and refs and not any(_is_known(ref, known) for ref in refs):
        raise UsageError(
            f"MLflow knows none of the {len(refs)} versions on this machine: it is another server, or its database was made anew; "
            "nothing is removed",
            hint="passerelle prune --local --dry-run",
        )


def _needed(
    context: Context, name: str, pieces: Iterable[Piece], versions: Mapping[int, tuple[str, str]], keep: int
) -> dict[ModelVersionRef, str]:
    """Return the versions of a registered model that stay, each with the reason."""
    here = {each.ref for each in pieces if each.ref.registered_model == name and _is_known(each.ref, {name: versions})}
    aliases = context.registry.aliases(name)
    needed = {ref: f"it has the alias {alias}" for ref in here for alias, version in aliases.items() if version == ref.version}
    last = {latest_bento_model(context.store, name), latest_bento(context.store, name)}
    newest = sorted(here, key=lambda ref: -ref.version)[:keep]
    for ref in here - needed.keys():
        if versions[ref.version][1] == PRODUCTION_STAGE:
            needed[ref] = f"it is in the stage {PRODUCTION_STAGE}"
        elif ref.bento_model_tag in last:
            needed[ref] = "it was imported or built last"
        elif ref in newest:
            needed[ref] = f"it is among the {keep} newest"
    return needed


def _use(context: Context, store: Store, engine: str | None, images: Iterable[EngineImage], project: Path) -> _Use:
    values = find_stack(project).values() if (project / "deploy" / "compose.yaml").is_file() else {}
    in_containers = images_in_containers(engine) if engine else frozenset()
    named = {*in_containers, values.get("SERVICE_IMAGE", "").removeprefix("sha256:")}
    tags = {service.tag for service in recorded_services(context.state.state_dir)} | {values.get("SERVICE_BENTO", "")}
    tags |= {each.bento_tag for each in images if named & {each.identity, each.name}}
    return _Use(frozenset(tags), frozenset(named), models_of_foreign_bentos(store))


def _used(piece: Piece, use: _Use) -> str:
    """Return why it is in use, whatever MLflow says; empty where it is not."""
    if isinstance(piece, EngineImage):
        used = piece.bento_tag in use.tags or bool(use.images & {piece.identity, piece.name})
    else:
        used = str(piece.tag) in use.tags
    if used:
        return "a deployment or a container uses it"
    if isinstance(piece, StoreEntry) and piece.kind == "models" and piece.tag in use.models:
        return "a bento that passerelle did not build holds it"
    return ""


def _described(piece: Piece, why: str = "") -> LocalPiece:
    if isinstance(piece, EngineImage):
        return LocalPiece("image", piece.name, piece.size_bytes, why)
    return LocalPiece("bento" if piece.kind == "bentos" else "model", str(piece.tag), piece.size_bytes(), why)


def _removed(piece: Piece, engine: str | None, store: Store, staging: Path) -> str | None:
    """Remove it; return why the engine refuses that."""
    if isinstance(piece, EngineImage):
        return remove_image(str(engine), piece)
    remove_entry(store, piece, staging)
    return None
