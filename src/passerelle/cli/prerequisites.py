"""What a command needs, checked before the stage is imported: a stage imports MLflow, scikit-learn or BentoML, which takes seconds."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from passerelle.errors import NotFoundError, OutsideError, UsageError

# Each check imports its own late, so that `--help` answers at once.
# ruff: noqa: PLC0415

Options = Mapping[str, Any]
Command = Callable[..., Any]
#: One module of each kind that only the extra brings: the registry, S3, the pipeline and the store's lock.
_WORKBENCH = ("mlflow", "boto3", "sklearn", "filelock")


def needs(*checks: Callable[[Options], None]) -> Callable[[Command], Command]:
    """Return what lets a command run only where the workbench is installed and the checks, in this order, pass."""

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def checked(**options: Any) -> Any:
            missing = without_workbench()
            if missing is not None:
                raise missing
            for check in checks:
                check(options)
            return command(**options)

        return checked

    return decorate


def without_workbench() -> UsageError | None:
    """Return the error of a command that is run where the extra is not installed; None where it is."""
    missing = next((name for name in _WORKBENCH if find_spec(name) is None), None)
    if missing is None:
        return None
    message = f"this command needs passerelle[workbench], which is not installed: there is no module {missing}"
    return UsageError(message, hint="pip install 'passerelle[workbench]'")


def registry(_: Options) -> None:
    """Check that MLflow and S3 answer.

    Raises:
        OutsideError: No MLflow server is named, or one of the two does not answer.
    """
    from passerelle.cli.connect import surroundings

    here = surroundings()
    from passerelle.registry.reachable import check_mlflow, check_s3_listens

    check_mlflow(here.mlflow)
    check_s3_listens(here.s3)


def place(options: Options) -> None:
    """Check that each option of `deploy` belongs to its target.

    Raises:
        UsageError: As `Place.check`.
    """
    from passerelle.stages.place import Place

    Place(**{field.name: options[field.name] for field in dataclasses.fields(Place)}).check()


def promote_options(options: Options) -> None:
    """Check that the options of `promote` name one version, and a reason where one is needed.

    Raises:
        UsageError: As `PromoteOptions.check`.
    """
    from passerelle.stages.promote_options import PromoteOptions

    PromoteOptions(**{field.name: options[field.name] for field in dataclasses.fields(PromoteOptions)}).check()


def rollout_options(options: Options) -> None:
    """Check that the options of `rollout` say one thing to do, and that its weight is a percentage.

    Raises:
        UsageError: As `RolloutOptions.check`.
    """
    from passerelle.stages.rollout_options import RolloutOptions

    RolloutOptions(**{field.name: options[field.name] for field in dataclasses.fields(RolloutOptions)}).check()


def rollout_criteria(options: Options) -> None:
    """Check the file of the criteria where `rollout` asks the gate; its comparison and its end need none.

    Raises:
        UsageError: As `read_criteria`.
    """
    if options["candidate"] or options["promote"]:
        criteria(options)


def collect_options(options: Options) -> None:
    """Check that `collect --follow` is given alone.

    Raises:
        UsageError: It is not.
    """
    if options["follow"] and (options["dry_run"] or options["expire"]):
        raise UsageError("--follow goes with neither --dry-run nor --expire", hint="passerelle collect --dry-run")


def corrections(options: Options) -> None:
    """Check that the file of corrections is there.

    Raises:
        NotFoundError: It is not.
    """
    if not options["path"].is_file():
        raise NotFoundError(f"there is no file {options['path']}", hint="passerelle feedback sample --output FILE")


def drift_options(options: Options) -> None:
    """Check the day, the log and the files of `drift`.

    Raises:
        UsageError: As `DriftOptions.check`.
    """
    from passerelle.stages.drift_options import DriftOptions

    DriftOptions(**{field.name: options[field.name] for field in dataclasses.fields(DriftOptions)}).check()


def score_options(options: Options) -> None:
    """Check the options of `score`.

    Raises:
        UsageError: As `ScoreOptions.check`.
    """
    from passerelle.stages.score_options import ScoreOptions

    ScoreOptions(**{field.name: options[field.name] for field in dataclasses.fields(ScoreOptions)}).check()


def criteria(options: Options) -> None:
    """Check the file of the criteria.

    Raises:
        UsageError: As `read_criteria`.
    """
    from passerelle.criteria_file import read_criteria

    read_criteria(options["criteria_path"])


def project(options: Options) -> None:
    """Check that the folder is a project.

    Raises:
        UsageError: It holds no bentofile.yaml.
    """
    from passerelle.stages.context import project_folder

    project_folder(options["project"])


def stack(options: Options) -> None:
    """Check the stack's folder and the engine, where the target is the stack or the command knows no other.

    Raises:
        NotFoundError: The project holds no deploy/compose.yaml.
        OutsideError: No engine answers.
    """
    from passerelle.rollout.stack import find_stack

    if options.get("target", "compose") == "compose":
        find_stack(options["project"]).check()


def backed_up_stack(options: Options) -> None:
    """As `stack`, unless only a key for backups is made."""
    if options["make_key"] is None:
        stack(options)


def pruned_place(options: Options) -> None:
    """Check what `prune` needs: the stack where that is the target, else MLflow and S3.

    Raises:
        NotFoundError, OutsideError: As `stack` and `registry`.
    """
    stack(options) if options["target"] == "compose" else registry(options)


def bundle(options: Options) -> None:
    """Check the archive that is to be installed; the stack, where one is to be written.

    Raises:
        NotFoundError: There is no such archive, or the project holds no deploy/compose.yaml.
        OutsideError: No engine answers.
    """
    if not options["install"]:
        stack(options)
    elif not options["path"].is_file():
        raise NotFoundError(f"there is no file {options['path']}", hint="passerelle bundle FILE")


def bento_model(options: Options) -> None:
    """Check the tag that was named; where none was, check that the store holds a bento model.

    Raises:
        UsageError: As `BentoTag.parse`.
        NotFoundError: It holds none.
    """
    if not _names_a_tag(options["bento_model_tag"]) and not _holds("models"):
        raise NotFoundError("the BentoML store holds no model", hint="passerelle import")


def bento(options: Options) -> None:
    """Check the tag that was named; where none was, check that the store holds a bento.

    Raises:
        UsageError: As `BentoTag.parse`.
        NotFoundError: It holds none.
    """
    if not _names_a_tag(options["bento_tag"]) and not _holds("bentos"):
        raise NotFoundError("the BentoML store holds no bento", hint="passerelle build")


def bento_in_production(options: Options) -> None:
    """Check as `bento`, where one is needed: `serve` and `deploy` on this machine import and build what is in production.

    Raises:
        As `bento`.
        OutsideError: As `registry`, where one is named.
    """
    from passerelle.cli.connect import surroundings

    target = options.get("target", "local")
    if target == "compose" or options.get("stop"):
        _names_a_tag(options["bento_tag"])
    elif target == "local" and not options["bento_tag"] and not _holds("bentos") and surroundings().server is not None:
        registry(options)
    else:
        bento(options)


def _names_a_tag(typed: str | None) -> bool:
    from passerelle.names import BentoTag

    return typed is not None and bool(BentoTag.parse(typed))


def _holds(kind: str) -> bool:
    from passerelle.cli.connect import bento_store, read_state

    home = bento_store(read_state()).bentoml_home or Path()
    return any((home / kind).glob("*/*/*.yaml"))


def service(options: Options) -> None:
    """Check that a service is known and that something listens at its address.

    Raises:
        NotFoundError: None was named, and none runs here.
        SeveralModelsError: Several models are served here, and none was named.
        OutsideError: Nothing listens there.
    """
    from passerelle.cli.connect import nothing_started_here, read_state
    from passerelle.rollout.service_state import NO_SERVICE, chosen_service

    address, name = options["address"], options["registered_model"]
    if address is None and not nothing_started_here():
        from passerelle.client_settings import ClientSettings

        address = ClientSettings.read().service_address
    running = None if address or nothing_started_here() else chosen_service(read_state().state_dir, name)
    if address is None and running is None:
        raise NotFoundError(f"no service of {name} runs here" if name else "no service runs here", hint=NO_SERVICE)
    if address is None:
        return
    from passerelle.registry.reachable import listens

    if not listens(address, timeout_s=5):
        of_the_stack = "passerelle deploy --target compose\nunset PASSERELLE_SERVICE_ADDRESS"
        hint = "passerelle deploy; passerelle monitor" if options["address"] else of_the_stack
        raise OutsideError(f"nothing listens at {address}", hint=hint)
