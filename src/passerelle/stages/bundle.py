"""All images and wheels in one archive, for machines without a network; and an archive's images and wheels, put in their places."""

from __future__ import annotations

import platform
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from passerelle.bentos.engine import find_engine, newest_image, this_machine
from passerelle.errors import OutsideError, SignatureError, UsageError, shell_word
from passerelle.model.verify import check_signature
from passerelle.names import REGISTERED_MODEL_LABEL
from passerelle.registry.sign import sign
from passerelle.rollout.offline_archive import IMAGES, SIGNED_AS, WHEELS, Contents, digests_below, take_out, write_archive
from passerelle.rollout.saved_images import images_of, load, save
from passerelle.rollout.stack import find_stack
from passerelle.rollout.wheel_folder import fill
from passerelle.stages.context import Context, Progress, silent, stage


@dataclass(frozen=True)
class Bundled:
    """What was written, or installed.

    Attributes:
        path: Of the archive.
        images: Their names.
        wheels: How many there are.
        signed: Whether the archive bears a signature.
        replaced: Images that the engine had under the same name with another content.
        wheels_folder: Where the wheels were put; None where the archive was written.
    """

    path: Path
    images: tuple[str, ...]
    wheels: int
    size_bytes: int
    seconds: float
    signed: bool = False
    replaced: tuple[str, ...] = ()
    wheels_folder: Path | None = None
    dry_run: bool = False


@stage
def run(
    context: Context,
    path: Path,
    *,
    install: bool = False,
    images: Sequence[str] = (),
    project: Path = Path(),
    dry_run: bool = False,
    progress: Progress = silent,
) -> Bundled:
    """Write the archive of a project's stack; or with `install`, check an archive in full, and only then use it.

    Args:
        images: Further ones.

    Raises:
        UsageError: There is such a file already, or the archive is for another machine.
        NotFoundError: The project holds no stack, or the engine lacks one of its images.
        IntegrityError: The archive was cut short or changed, or lacks a signature that is required.
        OutsideError: The engine or the package index does not do its part.
    """
    began = time.monotonic()
    if install:
        return _installed(context, path, dry_run=dry_run, progress=progress, began=began)
    return _written(context, path, images, project, dry_run=dry_run, progress=progress, began=began)


def _written(
    context: Context, path: Path, further: Sequence[str], project: Path, *, dry_run: bool, progress: Progress, began: float
) -> Bundled:
    if path.exists():
        raise UsageError(f"{path} is there already", hint=f"mv {shell_word(path)} {shell_word(path)}.old")
    stack = find_stack(project)
    stack.check()
    model = newest_image(REGISTERED_MODEL_LABEL, {context.registered_model})
    names = tuple(dict.fromkeys((*(name for part in images_of(stack) for name in part), *([model[0]] if model else []), *further)))
    if dry_run:
        return Bundled(path, names, 0, 0, time.monotonic() - began, dry_run=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as temporary:
        folder = Path(temporary) / "content"
        folder.mkdir()
        progress("the wheels")
        count = fill(folder / WHEELS, project.resolve())
        progress(f"{len(names)} images")
        saved = save("docker", names, folder / IMAGES)
        python = ".".join(platform.python_version_tuple()[:2])
        contents = Contents(version("passerelle"), this_machine(), python, saved, digests_below(folder))
        signature = sign(contents.as_json(), context.signing, run_id=SIGNED_AS)
        half = Path(temporary) / path.name
        write_archive(half, folder, contents, signature)
        half.rename(path)
    return Bundled(path, names, count, path.stat().st_size, time.monotonic() - began, signature is not None)


def _installed(context: Context, path: Path, *, dry_run: bool, progress: Progress, began: float) -> Bundled:
    engine, signed = find_engine(), False

    def check(contents: Contents, signature: str | None) -> None:
        nonlocal signed
        signed = signature is not None
        if context.signing.required and signature is None:
            raise SignatureError(f"{path} is not signed, and a signature is required: make it where PASSERELLE_SIGNING_KEY is set")
        check_signature(contents.as_json(), signature, context.signing, of=str(path), run_id=SIGNED_AS)
        if contents.machine != this_machine():
            raise UsageError(f"{path} is for {contents.machine}, and this machine is {this_machine()}", hint="passerelle bundle FILE")

    state = context.state.state_dir.resolve()
    state.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=state, prefix=".bundle-") as temporary:
        progress("checking the archive")
        contents = take_out(path, Path(temporary), check)
        wheels = sum(name.startswith(f"{WHEELS}/") for name in contents.files)
        bundled = Bundled(path, tuple(contents.images), wheels, contents.size_bytes, 0.0, signed)
        if dry_run:
            return replace(bundled, dry_run=True, seconds=time.monotonic() - began)
        progress(f"{engine} loads {len(contents.images)} images")
        replaced = load(engine, Path(temporary) / IMAGES, contents.images)
        target = state / WHEELS
        _replace(Path(temporary) / WHEELS, target)
    return replace(bundled, replaced=replaced, wheels_folder=target, seconds=time.monotonic() - began)


def _replace(source: Path, target: Path) -> None:
    """Put a folder in the place of another one, which is removed; wheels of two archives do not mix."""
    try:
        shutil.rmtree(target, ignore_errors=True)
        source.rename(target)
    except OSError as error:
        raise OutsideError(f"the wheels were not put into {target}: {error.strerror}", hint=f"rm -r {shell_word(target)}") from error
