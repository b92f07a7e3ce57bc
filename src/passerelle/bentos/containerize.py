"""Make an OCI image of a bento: small, with locked packages and a complete bill of materials."""

from __future__ import annotations

import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from passerelle.bentos.adopted_image import ImageRecipe, adoption_in, recipe_of
from passerelle.bentos.build_secrets import mount, secret_arguments, without_passwords
from passerelle.bentos.context import readable_in_image, write_context
from passerelle.bentos.engine import IN_THE_MAKING, ask, failed, find_engine, inspect, runs_here
from passerelle.bentos.image_labels import default_image_name, image_labels
from passerelle.bentos.image_options import ImageOptions
from passerelle.bentos.image_platform import check_platform, machine_of
from passerelle.bentos.locked_hashes import locked_hashes
from passerelle.bentos.old_images import bill_path
from passerelle.bentos.reproducible import rewrite
from passerelle.bentos.sbom import bill_of_materials, packages_in
from passerelle.bentos.store import Store
from passerelle.bentos.tool_environment import tool_environment
from passerelle.errors import NotFoundError, OutsideError, UsageError
from passerelle.names import (
    INPUTS_DIGEST_LABEL,
    OCI_PREFIX,
    PREFIX,
    BentoTag,
    ImageRef,
)
from passerelle.settings import StoreSettings

_BUILD_TIMEOUT_S = 1_800.0


@dataclass(frozen=True)
class BuiltImage:
    """An image of a bento.

    Attributes:
        image: Its name and tag, with the digest of its configuration.
        engine: The program that built it.
        created: False when the engine held it already, of the same inputs.
        size_bytes: Its size in the engine.
        packages: How many the bill of materials lists.
        with_pipeline: Whether scikit-learn is among them.
        sbom: Where that bill lies beside the store; the image holds the same as /app/sbom.cdx.json.
    """

    image: ImageRef
    bento_tag: BentoTag
    engine: str
    slim: bool = False
    created: bool = True
    size_bytes: int | None = None
    packages: int | None = None
    with_pipeline: bool | None = None
    sbom: Path | None = None
    seconds: float = 0.0
    labels: Mapping[str, str] = field(default_factory=dict)
    dry_run: bool = False


def containerize(
    settings: StoreSettings,
    *,
    bento_tag: BentoTag,
    options: ImageOptions | None = None,
    dry_run: bool = False,
    trial: Callable[[str, str], None] = lambda _engine, _image: None,
    progress: Callable[[str], None] = lambda _: None,
) -> BuiltImage:
    """Build the bento's image, unless the engine holds it already.

    Args:
        trial: Called with the engine and a temporary name of the new image; if it raises, the image does not get its own name.

    Raises:
        NotFoundError: The store holds no such bento, or no longer its model.
        OutsideError: No engine answers, it cannot run the platform, or the build fails; an image of that name stays as it was.
    """
    began, options, store = time.perf_counter(), options or ImageOptions(), Store(settings)
    bento = store.bento(bento_tag)
    if bento is None:
        raise NotFoundError(f"the BentoML store holds no bento {bento_tag}", hint="passerelle build; bentoml list")
    image = image_ref(options.image_name or default_image_name(bento, slim=options.slim))
    engine = find_engine()
    if dry_run:
        return BuiltImage(image, bento_tag, engine, slim=options.slim, dry_run=True)
    check_platform(engine, options.platform, options.base)
    with tempfile.TemporaryDirectory(dir=store.home, prefix=".passerelle-image-") as temporary:
        folder = Path(temporary)
        with store.staging():  # `prune --local` removes nothing that is being copied
            write_context(folder, store, bento_tag, wheels=options.wheels, with_pipeline=options.with_pipeline, epoch=options.epoch)
        recipe = recipe_of(adoption_in(folder), options)
        labels = image_labels(engine, folder, bento, bento_tag, recipe)
        sbom = bill_path(store, str(image))
        fresh = not (options.cached and sbom.exists() and _made_of(engine, image, options.platform) == labels[INPUTS_DIGEST_LABEL])
        if fresh:
            progress(f"{engine} builds {image}; the first time takes a minute")
            sbom.parent.mkdir(exist_ok=True)
            sbom.write_text(_build_and_try(engine, folder, image, recipe, labels, trial=trial), encoding="utf-8")
    return _described(engine, image, bento_tag, options.slim, sbom, fresh=fresh, began=began)


def image_ref(name: str) -> ImageRef:
    """Return the image of a name `repository:tag`.

    Raises:
        UsageError: There is no tag, or it is `latest`, which does not say what is in it.
    """
    repository, colon, image_tag = name.rpartition(":")
    if not colon or "/" in image_tag or not repository or image_tag == "latest":
        raise UsageError(f"'{name}' does not name an image with a tag of its own", hint="passerelle containerize --image passerelle/name:1")
    return ImageRef(repository, image_tag)


def _made_of(engine: str, image: ImageRef, platform: str | None) -> str | None:
    """Return the digest of what the image was made from; None where there is none for this platform."""
    inspected = inspect(engine, str(image))
    if inspected is None or not (runs_here(inspected) if platform is None else inspected.get("Architecture") == machine_of(platform)):
        return None
    return (inspected["Config"].get("Labels") or {}).get(INPUTS_DIGEST_LABEL)


@dataclass(frozen=True)
class _Names:
    """The temporary names of an image; each build has its own, since two may make the same image at the same time."""

    image: ImageRef
    bare: str
    listed: str
    built: str


@contextmanager
def _passing_names(engine: str, image: ImageRef) -> Iterator[_Names]:
    unique = f"{image.repository}:{IN_THE_MAKING}{uuid.uuid4().hex[:12]}"
    names = _Names(image, f"{unique}-bare", f"{unique}-listed", unique)
    try:
        yield names
    finally:
        # An image is removed with its last name. One call for each name: with a name that does not exist, Podman would remove none.
        for name in (names.bare, names.listed, names.built):
            ask(engine, "image", "rm", name)


def _build_and_try(
    engine: str,
    folder: Path,
    image: ImageRef,
    recipe: ImageRecipe,
    labels: Mapping[str, str],
    *,
    trial: Callable[[str, str], None],
) -> str:
    """Build the image, test it, and only then give it its name; return its bill of materials."""
    with _passing_names(engine, image) as names:
        content = _built(engine, folder, names, recipe, labels)
        trial(engine, names.built)
        _give_name(engine, names.built, image)
    return content


def _built(engine: str, folder: Path, names: _Names, recipe: ImageRecipe, labels: Mapping[str, str]) -> str:
    """Build the image under its temporary name and return its bill of materials."""
    image, options = names.image, recipe.options
    # After the labels: which index the locked packages come from is no input of the image.
    mount(folder / "Dockerfile", options.secrets)
    arguments = [part for name, value in recipe.arguments.items() for part in ("--build-arg", f"{name}={value}")]
    arguments += secret_arguments(engine, options.secrets)
    arguments += [] if options.wheels is None else ["--network", "none"]
    arguments += [] if options.platform is None else ["--platform", options.platform]
    uncached = () if options.cached else ("--no-cache",)
    _build(engine, folder, recipe.bare, ["--tag", names.bare, *arguments, *uncached], image)
    found = packages_in(engine, names.bare, recipe.pythons)
    lineage = {name: value for name, value in labels.items() if name.startswith(PREFIX)}
    content = bill_of_materials(
        found,
        name=image.repository,
        version=image.image_tag,
        created=labels[OCI_PREFIX + "created"],
        labels=lineage,
        hashes=locked_hashes(sorted(folder.glob("*requirements.txt"))),
    )
    (folder / "sbom.cdx.json").write_text(content, encoding="utf-8")
    readable_in_image(folder)
    described = [part for name, value in sorted(labels.items()) for part in ("--label", f"{name}={value}")]
    _build(engine, folder, recipe.listed, ["--tag", names.listed, *arguments, *described], image)
    if options.epoch is None:
        _give_name(engine, names.listed, names.built)
    else:
        rewrite(engine, names.listed, names.built, epoch=options.epoch, kept=_layers(engine, options.base))
    return content


def _give_name(engine: str, built_name: str, image: ImageRef | str) -> None:
    tagged = ask(engine, "tag", built_name, str(image))
    if tagged.returncode != 0:
        raise failed(engine, tagged.stderr, of=f"naming the image {image}", hint=f"{engine} image ls")


def _layers(engine: str, image: str) -> Sequence[str]:
    inspected = inspect(engine, image)
    return list(inspected["RootFS"]["Layers"]) if inspected else []


def _build(engine: str, folder: Path, target: str, arguments: Sequence[str], image: ImageRef) -> None:
    """Let the engine build the image up to this target."""
    # The format of OCI has no health check. Buildah keeps layers for the next build only if asked to.
    own = {"podman": ["--format", "docker"], "buildah": ["--format", "docker", "--layers"]}.get(engine, [])
    command = [engine, "build", *own, "--file", str(folder / "Dockerfile"), "--target", target, *arguments, str(folder)]
    environment = tool_environment() | {"BUILDKIT_PROGRESS": "plain"}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_BUILD_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise OutsideError(f"the build of {image} took longer than {_BUILD_TIMEOUT_S:.0f} s", hint="passerelle containerize") from error
    if done.returncode != 0:
        # The former builder writes its steps to stdout and the cause to stderr.
        output = without_passwords(done.stdout + done.stderr)
        raise failed(engine, output, of=f"the build of {image}", hint="passerelle containerize")


def _described(engine: str, image: ImageRef, bento_tag: BentoTag, slim: bool, sbom: Path, *, fresh: bool, began: float) -> BuiltImage:
    inspected = inspect(engine, str(image))
    if inspected is None:
        raise OutsideError(f"{engine} built {image} and does not find it", hint=f"{engine} image ls")
    listed = sbom.read_text(encoding="utf-8")
    return BuiltImage(
        ImageRef(image.repository, image.image_tag, str(inspected["Id"])),
        bento_tag,
        engine,
        slim=slim,
        created=fresh,
        size_bytes=int(inspected["Size"]),
        packages=listed.count('"purl"'),
        with_pipeline="pkg:pypi/scikit-learn@" in listed,
        sbom=sbom,
        seconds=time.perf_counter() - began,
        labels=inspected["Config"].get("Labels") or {},
    )
