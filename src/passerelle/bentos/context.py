"""What an image is built from: the folder that the engine is given."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

from passerelle.bentos.adopted_image import add_model_environment
from passerelle.bentos.store import Store
from passerelle.errors import NotFoundError, UsageError, shell_word
from passerelle.model.adoption import ADOPTION_FILE
from passerelle.names import MODEL_FOLDER, SCORER_FOLDER, BentoTag
from passerelle.scorer.storage import is_packed

_TOOLS = resources.files("passerelle.bentos") / "image"
_CODE = ("bento.yaml", "README.md", "apis", "src")
#: The parts of a bento that are needed for any model, and those for a compiled one.
_LOCKED, _LOCKED_FOR_A_SCORER = "env/python/requirements.txt", "src/requirements/scorer.txt"
_FILE = 0o644


def write_context(
    folder: Path, store: Store, bento_tag: BentoTag, *, wheels: Path | None, with_pipeline: bool = False, epoch: int | None = None
) -> None:
    """Write the bento, its model, the Dockerfile and what it runs into an empty folder.

    The model's files are linked where the disk allows, not copied.

    Args:
        with_pipeline: Install what loads the pipeline of a compiled model too, which answers without.
        epoch: Seconds since 1970 that stand for when model and bento were made, so that it does not matter when they were.

    Raises:
        NotFoundError: The store holds no such bento, or no longer its model.
        UsageError: The folder of wheels is no folder, or holds no wheel.
    """
    bento, model = store.bento(bento_tag), store.model(bento_tag)
    if bento is None:
        raise NotFoundError(f"the BentoML store holds no bento {bento_tag}", hint="passerelle build; bentoml list")
    if model is None:
        raise NotFoundError(
            f"the model of the bento {bento_tag} is gone from the BentoML store", hint="passerelle import; passerelle build"
        )
    bento_folder = Path(bento.path)
    for name in _CODE:
        _placed(bento_folder / name, folder / "bento" / name)
    requirements = bento_folder / _requirements(Path(model.path), with_pipeline=with_pipeline)
    (folder / "requirements.txt").write_text(_locked(requirements.read_text()))
    placed_model = folder / "models" / bento_tag.name / bento_tag.version
    _placed(Path(model.path), placed_model)
    if epoch is not None:
        for described in (folder / "bento" / "bento.yaml", placed_model / "model.yaml"):
            _made_at(described, epoch)
    (folder / "models" / bento_tag.name / "latest").write_text(bento_tag.version)
    _given_wheels(wheels, folder / "wheels")
    _given_tools(folder)
    if (Path(model.path) / ADOPTION_FILE).is_file():
        add_model_environment(folder, Path(model.path), (folder / "Dockerfile").read_text(encoding="utf-8"))
    readable_in_image(folder)


def _requirements(model: Path, *, with_pipeline: bool) -> str:
    """Return which locked requirements the service gets: those of a scorer where its own process loads no pipeline."""
    if (model / ADOPTION_FILE).is_file():
        return _LOCKED_FOR_A_SCORER
    compiled = is_packed(model / MODEL_FOLDER / SCORER_FOLDER)
    return _LOCKED_FOR_A_SCORER if compiled and not with_pipeline else _LOCKED


def readable_in_image(folder: Path) -> None:
    """Set the modes that the files have in the image, independent of the umask here: the image has another user."""
    for path in folder.rglob("*"):
        mode = 0o755 if path.is_dir() else _FILE
        # Files that are linked to the store have their mode already; otherwise they were copied.
        if _mode(path) != mode:
            path.chmod(mode)


def digest_of(folder: Path) -> str:
    """Return SHA-256 over the names, modes and contents of all files below the folder."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{_mode(path):o}\0".encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return "sha256:" + digest.hexdigest()


def _made_at(path: Path, epoch: int) -> None:
    """Write the time into BentoML's description of a bento or of a model; the file of the store, which is linked here, stays."""
    moment = datetime.fromtimestamp(epoch, UTC).isoformat()
    content = re.sub(r"^( *creation_time: ).*$", rf"\g<1>'{moment}'", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    path.unlink()
    path.write_text(content, encoding="utf-8")


def _locked(requirements: str) -> str:
    """Return the requirements without the line that BentoML adds for itself, which has no hash: the lock has another that does."""
    lines = requirements.splitlines()
    pinned = {line.removesuffix(" \\") for line in lines if line.endswith(" \\")}
    return "\n".join(line for line in lines if line not in pinned) + "\n"


def _placed(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, copy_function=_linked, ignore=shutil.ignore_patterns("__pycache__"))
    elif source.exists():
        _linked(str(source), str(target))


def _linked(source: str, target: str) -> None:
    """Link the file, or copy it: if the disk allows no link, or if its mode must differ from the one in the store."""
    try:
        if _mode(Path(source)) == _FILE:
            os.link(source, target)
            return
    except OSError:
        pass
    shutil.copy2(source, target)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _given_tools(folder: Path) -> None:
    (folder / "tools").mkdir()
    for tool in _TOOLS.iterdir():
        if tool.name.endswith(".py"):
            (folder / "tools" / tool.name).write_bytes(tool.read_bytes())
    (folder / "Dockerfile").write_bytes((_TOOLS / "Dockerfile").read_bytes())


def _given_wheels(wheels: Path | None, target: Path) -> None:
    target.mkdir()
    (target / "README").write_text("Wheels to install without a network; empty otherwise.\n")
    if wheels is None:
        return
    found = sorted(wheels.glob("*.whl")) if wheels.is_dir() else []
    if not found:
        raise UsageError(
            f"{wheels} is no folder with wheels", hint=f"pip download --require-hashes -r requirements/service.txt -d {shell_word(wheels)}"
        )
    for wheel in found:
        _linked(str(wheel), str(target / wheel.name))
