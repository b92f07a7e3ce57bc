"""What the commands about the registry need before their stage."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests
from packaging.requirements import Requirement

from passerelle.bentos.engine import newest_image
from passerelle.bentos.store import Store, bentos_of, latest_bento, latest_bento_model
from passerelle.cli.connect import Surroundings, open_registry, project_folder, surroundings
from passerelle.criteria import Criteria, read_criteria
from passerelle.errors import IntegrityError, NotFoundError, RefusedError, UsageError
from passerelle.names import BENTO_TAG_LABEL, VERSION_LABEL, BentoTag, ModelVersionRef
from passerelle.registry.chain import Finding
from passerelle.registry.client import Registry
from passerelle.registry.production import plan, standing
from passerelle.registry.verified import History, verified_ledger
from passerelle.registry.verified import history as history_stage
from passerelle.rollout.local import running_service
from passerelle.settings import ClientSettings, StoreSettings
from passerelle.stages.compare import compare
from passerelle.stages.promote import Asked, Promotion
from passerelle.stages.promote import promote as promote_stage
from passerelle.stages.register import Registered, register
from passerelle.stages.rollback import rollback as rollback_stage
from passerelle.stages.status import Status, gather

# The service image's base: python:3.11-slim.
_IN_THE_IMAGE = {"python_version": "3.11", "python_full_version": "3.11.0", "sys_platform": "linux", "platform_system": "Linux"}


def best_run(registry: Registry, criteria: Criteria) -> str:
    """Return the run of the best candidate of the latest training.

    Raises:
        RefusedError: No candidate meets the criteria.
    """
    best = compare(registry, criteria).best
    if best is None:
        raise RefusedError("no candidate of the latest training meets the criteria", hint="passerelle compare")
    return best.run_id


def who() -> str:
    """Return account@host for the ledger, with the CI job in front where there is one: `ci:JOB by account@host`.

    The account is the system's: $LOGNAME and the like name whomever the shell wants. A job's variables do too, so a job never stands
    without the account, and never as a person.
    """
    account = f"{_account()}@{socket.gethostname()}"
    job = next((os.environ[variable] for variable in ("GITHUB_RUN_ID", "CI_JOB_URL", "BUILD_URL") if os.environ.get(variable)), None)
    # An @ would end the name that the criteria's lists are asked for.
    return f"ci:{quote(job, safe=':/')} by {account}" if job else account


def _account() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid-{os.getuid()}"


def newest_version(registry: Registry) -> ModelVersionRef:
    """Return the newest version of the registered model.

    Raises:
        NotFoundError: There is none.
    """
    name = registry.settings.registered_model
    newest = registry.newest_version(name)
    if newest is None:
        raise NotFoundError(f"« {name} » has no version", hint="passerelle register")
    return newest.ref


def promote(
    registered_model: str | None,
    version: int | None,
    criteria_path: Path,
    *,
    project: Path,
    best: bool,
    dry_run: bool,
    report: Path | None,
    **how: Any,
) -> Promotion:
    """Promote the version that was named, the best candidate of the latest training, or the newest version."""
    if best and version is not None:
        raise UsageError("--best and --version name two versions", hint="passerelle promote --best, or --version N")
    criteria = read_criteria(criteria_path)
    here = surroundings(registered_model=registered_model)
    asked = asked_here(here, project, **how)
    registry = open_registry(here)
    if best:
        found = register(registry, run_id=best_run(registry, criteria), criteria=criteria, signing=here.signing, dry_run=dry_run)
        if found.ref is None:
            return _planned(registry, found, here)
        ref = found.ref
    else:
        ref = registry.model_version(here.mlflow.registered_model, version).ref if version else newest_version(registry)

    def write(page: str) -> None:
        if report is not None:
            report.write_text(page, encoding="utf-8")

    return promote_stage(registry, ref=ref, criteria=criteria, asked=replace(asked, on_report=write), dry_run=dry_run)


def asked_here(here: Surroundings, project: Path, **how: Any) -> Asked:
    """Return how a promotion is asked for in these surroundings: by whom, in which environment, for which serving image.

    Raises:
        UsageError: The project does not say what its image gets.
    """
    development = here.state.environment == "development"
    return Asked(who=who(), development=development, serving=serving_libraries(project), signing=here.signing, **how)


def _planned(registry: Registry, best: Registered, here: Surroundings) -> Promotion:
    """Return what promoting the best candidate would do, which is no version yet; the gate judges it once it is one."""
    name = registry.settings.registered_model
    verified_ledger(registry, name, here.signing)
    now, newest = standing(registry, name), registry.newest_version(name)
    ref = ModelVersionRef(name, newest.ref.version + 1 if newest else 1, best.run_id)
    first = (f"register « {best.candidate} » as version {ref.version}", "the gate judges it", "ledger: a new entry")
    return Promotion(ref, now.production, changed=True, steps=(*first, *(words for words, _ in plan(registry, ref, now))), dry_run=True)


def serving_libraries(project: Path) -> dict[str, str]:
    """Return the version of each library that the serving image gets, from the project's locked requirements.

    Raises:
        UsageError: The folder is no project, or its requirements are missing.
    """
    requirements = project_folder(project) / "requirements" / "service.txt"
    if not requirements.is_file():
        raise UsageError(f"{requirements} is missing: it says which libraries the image gets", hint="make lock, in the project")
    lines = (line.rstrip(" \\") for line in requirements.read_text(encoding="utf-8").splitlines() if line[:1].isalpha() and "==" in line)
    pinned = (Requirement(line) for line in lines)
    return {each.name: str(each.specifier)[2:] for each in pinned if each.marker is None or each.marker.evaluate(_IN_THE_IMAGE)}


def rollback(registered_model: str | None, version: int | None, *, reason: str | None, dry_run: bool) -> Promotion:
    """Go back to the version that was named, or to the one before."""
    here = surroundings(registered_model=registered_model)
    development = here.state.environment == "development"
    return rollback_stage(
        open_registry(here),
        who=who(),
        version=version,
        reason=reason,
        development=development,
        signing=here.signing,
        dry_run=dry_run,
    )


def history(registered_model: str | None, *, verify: bool) -> History:
    """Return the ledger, with what its verification found where that was asked for."""
    here = surroundings(registered_model=registered_model)
    found = history_stage(open_registry(here), here.mlflow.registered_model, here.signing)
    return found if verify else replace(found, verified=False, findings=())


def refuse_broken(registered_model: str, findings: Sequence[Finding]) -> None:
    """Check that the verification found nothing wrong with the ledger.

    Raises:
        IntegrityError: It found entries that were changed, removed or inserted.
    """
    if findings:
        hint = "look at who may write below ledger/ in the bucket; then passerelle restore FILE, into an empty stack, brings a backup back"
        message = f"the ledger of « {registered_model} » is not as passerelle wrote it: {len(findings)} findings"
        raise IntegrityError(message, hint=hint)


def status(registered_model: str | None) -> Status:
    """Return where everything stands."""
    here = surroundings(registered_model=registered_model)
    registry = open_registry(here)
    running = running_service(here.state.state_dir)
    given = ClientSettings.read().service_address
    address = given or (running.address if running else None)
    in_production = _production_model(registry, here)
    serves, silent = _served(address) if address else (None, None)
    return gather(
        registry,
        bento_model=in_production or latest_bento_model(here.store),
        bento=latest_bento(here.store),
        service=serves,
        service_address=address,
        service_silent=silent,
        image=_image(here.store, in_production),
        deploy="passerelle deploy --target compose" if given else "passerelle deploy",
        signing=here.signing,
    )


def _image(store: StoreSettings, in_production: BentoTag | None) -> tuple[str, int] | None:
    """Return the image of the version in production, or else the one that was made last of a bento in the store, and the version inside.

    After a rollback the engine holds the former image already: it is older than the one that was taken back, and the right one.
    """
    wanted = newest_image(BENTO_TAG_LABEL, [str(in_production)]) if in_production else None
    found = wanted or newest_image(BENTO_TAG_LABEL, [str(tag) for tag in bentos_of(store)])
    version = found[1].get(VERSION_LABEL, "") if found else ""
    return (found[0], int(version)) if found and version.isdigit() else None


def _production_model(registry: Registry, here: Surroundings) -> BentoTag | None:
    version = registry.aliases(here.mlflow.registered_model).get(here.mlflow.alias)
    if version is None:
        return None
    tag = registry.model_version(here.mlflow.registered_model, version).ref.bento_model_tag
    return tag if Store(here.store).model(tag) else None


def _served(address: str) -> tuple[int | None, str | None]:
    """Return the version that a service says it is ready with; else why none is known."""
    try:
        return int(requests.get(f"{address}/readyz", timeout=3).json()["model_version"]), None
    except requests.exceptions.SSLError:
        return None, "has a certificate that is not trusted here (REQUESTS_CA_BUNDLE names the authority's file)"
    except (requests.RequestException, ValueError, KeyError, TypeError):
        return None, "is not ready, or does not answer"
