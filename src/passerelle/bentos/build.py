"""Build a bento that pins exactly one bento model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from passerelle.bentos.bento_model import readable_by_others
from passerelle.bentos.code import add_package, code_digest, code_files
from passerelle.bentos.code_revision import code_revision
from passerelle.bentos.store import Store
from passerelle.errors import IntegrityError, NotFoundError, OutsideError, shell_word
from passerelle.model.manifest import check_manifest
from passerelle.model.verify import check_stored_signature
from passerelle.names import ARTIFACT_DIGEST, CODE_DIGEST, CODE_REVISION, GOLDEN, MANIFEST_FILE, MODEL_FOLDER, RUN_ID_LABEL, BentoTag
from passerelle.settings import SigningSettings, StoreSettings

_TIMEOUT_S = 180.0
#: service.py reads the model's signature while it is built, and refuses what may not be loaded.
PASSED = ("PASSERELLE_ENVIRONMENT", "PASSERELLE_TRUST_PICKLE", "PASSERELLE_TRUSTED_TYPES", "PASSERELLE_ADOPTED_PICKLES")


@dataclass(frozen=True)
class BuiltBento:
    """A bento and how it came about.

    Attributes:
        path: Its directory in the store; None at a dry run of what is not there yet.
        created: False when it was there already, of the same model and the same code.
        replaced: True when a bento of the same model but other code stood in its place.
    """

    bento_tag: BentoTag
    bento_model_tag: BentoTag
    path: Path | None
    created: bool
    code_digest: str
    replaced: bool = False
    dry_run: bool = False


def build(
    settings: StoreSettings,
    *,
    bento_model_tag: BentoTag,
    project: Path,
    signing: SigningSettings | None = None,
    environment: Mapping[str, str] | None = None,
    dry_run: bool = False,
) -> BuiltBento:
    """Write a bento of the model and of the project's code to the store, unless it is there.

    The bento's tag is the bento model's. When the code changed since, the bento is replaced: the same tag, the newer code.

    Args:
        project: Folder with bentofile.yaml, service.py and the locked requirements.
        signing: What the model's signature is verified with, where one is required.
        environment: Variables of the process that builds; by default those of this one.

    Raises:
        NotFoundError: The store holds no such bento model.
        UsageError: The project lacks a file.
        IntegrityError: A file of the model is not the one that was registered, or its signature is missing or not good.
        OutsideError: BentoML refuses to build; holds what it said.
        BusyError: Another import or build holds the store.
    """
    store = Store(settings)
    code = code_digest(project)
    if dry_run:
        return _already_there(store, bento_model_tag, code) or _would_build(store, bento_model_tag, code)
    with store.staging() as staging:
        check_whole(store, bento_model_tag, signing)
        found = _already_there(store, bento_model_tag, code)
        if found is not None:
            store.select("bentos", bento_model_tag)
            return found
        replaced = store.bento(bento_model_tag) is not None
        folder = _built(store, bento_model_tag, project, code, staging, given=os.environ if environment is None else environment)
        path = store.publish(folder, "bentos", bento_model_tag)
    return BuiltBento(bento_model_tag, bento_model_tag, path, created=True, code_digest=code, replaced=replaced)


def check_whole(store: Store, tag: BentoTag, signing: SigningSettings | None) -> None:
    """Check that the model in the store is still the registered one, and signed where that is required.

    Raises:
        IntegrityError: A file of the model is not the one that was registered, or its signature is missing or not good.
    """
    model = store.model(tag)
    if model is None:
        return
    folder, labels = Path(model.path), model.info.labels
    try:
        manifest = dict(json.loads((folder / MANIFEST_FILE).read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        hint = f"bentoml models delete {tag}; passerelle import"
        raise IntegrityError(f"the bento model {tag} has no readable manifest", hint=hint) from error
    check_manifest(folder / MODEL_FOLDER, folder / GOLDEN, manifest, expected_digest=labels.get(ARTIFACT_DIGEST))
    if signing is not None:
        check_stored_signature(folder, manifest, signing, run_id=labels.get(RUN_ID_LABEL, ""))


def _would_build(store: Store, tag: BentoTag, code: str) -> BuiltBento:
    return BuiltBento(tag, tag, None, created=True, code_digest=code, replaced=store.bento(tag) is not None, dry_run=True)


def _already_there(store: Store, tag: BentoTag, code: str) -> BuiltBento | None:
    model = store.model(tag)
    if model is None:
        raise NotFoundError(f"the BentoML store holds no model {tag}", hint="passerelle import; bentoml models list")
    bento = store.bento(tag)
    if bento is None:
        return None
    labels = bento.info.labels
    if labels.get(CODE_DIGEST) != code or labels.get(ARTIFACT_DIGEST) != model.info.labels.get(ARTIFACT_DIGEST):
        return None
    return BuiltBento(tag, tag, Path(bento.path), created=False, code_digest=code)


def _built(store: Store, tag: BentoTag, project: Path, code: str, staging: Path, *, given: Mapping[str, str]) -> Path:
    """Run `bentoml build` into the staging folder and return where the bento is.

    A process of its own, so that importing service.py leaves nothing behind in this one.
    """
    (staging / "models").symlink_to(store.home / "models")
    model = store.model(tag)
    revision = code_revision(project, code_files(project).values())
    labels = {CODE_DIGEST: code, **({CODE_REVISION: revision} if revision else {}), **(model.info.labels if model else {})}
    command = [
        sys.executable, "-m", "bentoml", "build", "--name", tag.name, "--version", tag.version, "--arg", f"model={tag}", "--output", "tag",
        *(part for name, value in labels.items() for part in ("--label", f"{name}={value}")),
        str(project),
    ]  # fmt: skip
    environment = {key: value for key, value in given.items() if not key.startswith("PASSERELLE_") or key in PASSED}
    environment |= {"BENTOML_HOME": str(staging), "BENTOML_DO_NOT_TRACK": "true", "PYTHONPATH": str(project / "src")}
    try:
        done = subprocess.run(command, env=environment, cwd=project, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise OutsideError(f"bentoml build of {tag} took longer than {_TIMEOUT_S:.0f} s", hint="passerelle build") from error
    folder = staging / "bentos" / tag.name / tag.version
    if done.returncode != 0 or not folder.is_dir():
        output = "\n".join(f"    {line}" for line in (done.stderr or done.stdout).strip().splitlines()[-12:])
        raise OutsideError(f"bentoml build of {tag} failed:\n{output}", hint=f"bentoml build --arg model={tag} {shell_word(project)}")
    # Of a project whose service.py declares an image of its own.
    add_package(folder / "src")
    readable_by_others(folder)
    return folder
