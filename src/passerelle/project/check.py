"""Whether a folder is a project that the installed passerelle can work on; asked before any server starts."""

from __future__ import annotations

import ast
import shlex
from pathlib import Path

from passerelle import __version__
from passerelle.bentos.code import code_files, read_bentofile
from passerelle.criteria_file import read_criteria
from passerelle.errors import UsageError
from passerelle.project.manifest import read_manifest
from passerelle.project.update import REQUIRED, check_not_newer, version_key
from passerelle.project_file import ProjectFile, read_project_file

_CORRECT = "git diff bentofile.yaml\nmv bentofile.yaml bentofile.yaml.old; passerelle new --update --yes"


def check_project(root: Path, criteria_path: Path | None = None) -> tuple[str, ...]:
    """Check that each file which the stages need is there and can be read.

    Args:
        criteria_path: By default the project's own.

    Returns:
        Warnings, which do not stop the command.

    Raises:
        UsageError: A file is missing or cannot be read, or a newer passerelle wrote the project.
    """
    root = root.resolve()
    file, manifest = read_project_file(root), read_manifest(root)
    if manifest is None and not any((root / name).exists() for name in ("bentofile.yaml", "service.py", "training")):
        raise UsageError(f"{root} is not a project of passerelle", hint="passerelle new my-project; cd my-project")
    if manifest is not None:
        check_not_newer(root, manifest.passerelle)
    for name in (*REQUIRED, file.data.file):
        if not (root / name).is_file():
            restorable = manifest is not None and name in manifest.files
            raise UsageError(f"{root / name} is missing", hint=_restore(root, name, restorable=restorable))
    read_criteria(criteria_path or root / "training" / "criteria.yaml")
    _check_further_models(root, file)
    _check_service(root)
    if manifest is None or version_key(manifest.passerelle) >= version_key(__version__):
        return ()
    older = f"passerelle {manifest.passerelle} wrote this project, and this is passerelle {__version__}: passerelle new --update shows what"
    return (f"{older} it would write differently",)


def _check_further_models(root: Path, file: ProjectFile) -> None:
    """Check that what the tables [models.NAME] name is there and can be read; raises UsageError otherwise."""
    for model in file.further_models:
        trained = (f"{model.training}/candidates.py", f"{model.training}/params.py", model.data.file) if model.data else ()
        for name in (model.criteria, *trained):
            if not (root / name).is_file():
                message = f"{root / name} is missing, which [models.{model.name}] of passerelle.toml names"
                raise UsageError(message, hint=_restore(root, name, restorable=False))
        read_criteria(root / model.criteria)


def _restore(root: Path, name: str, *, restorable: bool) -> str:
    if restorable:
        return f"passerelle new {shlex.quote(str(root))} --update --yes"
    return f"git -C {shlex.quote(str(root))} checkout -- {shlex.quote(name)}"


def _check_service(root: Path) -> None:
    """Check that bentofile.yaml names a class which service.py defines, and files that are there.

    Raises:
        UsageError: It does not.
    """
    bentofile = read_bentofile(root)
    module, _, name = bentofile.service.partition(":")
    path = root / f"{module.replace('.', '/').removesuffix('/py')}.py"
    if not path.is_file():
        raise UsageError(f"{root / 'bentofile.yaml'} names the service {bentofile.service}, and {path} is missing", hint=_CORRECT)
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"{path} is not Python: {error}", hint=f"python -m py_compile {shlex.quote(str(path))}") from error
    defined = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    if name and name not in defined:
        raise UsageError(f"{path} defines no class {name}, which bentofile.yaml names", hint=_CORRECT)
    if not any(entry.startswith("src/passerelle/") for entry in code_files(root)):
        message = f"{root / 'bentofile.yaml'} includes no file of passerelle, without which the service cannot start"
        raise UsageError(message, hint=_CORRECT)
