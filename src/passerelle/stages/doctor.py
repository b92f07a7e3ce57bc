"""Everything that the project needs, tried out, with the command that mends what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from passerelle.doctor.diagnosis import Diagnosis, Health, Surroundings
from passerelle.doctor.side_by_side import examine
from passerelle.doctor.subjects import SUBJECTS
from passerelle.platform.state import running
from passerelle.project_file import read_project_file
from passerelle.rollout.service_state import running_services
from passerelle.settings import ServiceSettings
from passerelle.stages.context import Context, stage
from passerelle.stages.stack_hints import for_stack

TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Examination:
    """What was found, in the order of the subjects.

    Attributes:
        faults: How many of them keep something from working.
        warnings: How many do not today.
    """

    diagnoses: Sequence[Diagnosis]
    faults: int
    warnings: int


@stage
def run(context: Context, *, project: Path = Path(), write_test: bool = False, timeout_s: float = TIMEOUT_S) -> Examination:
    """Return what every probe says; nothing is changed.

    Args:
        project: Root of the project, for its stack and its overlay.
        write_test: Write a few objects to the bucket and remove them again, for what no reading finds out.
        timeout_s: The longest wait; all probes run side by side.
    """
    platform = running(context.state.state_dir)
    here = Surroundings(
        environment=context.environment,
        state=context.state,
        store=context.store,
        s3=context.s3,
        server=context.server,
        signing=context.signing,
        client=context.client,
        keys_file=ServiceSettings.read().keys_file,
        project=project,
        embedded=platform is not None and platform.s3.endpoint_url == context.s3.endpoint_url,
        registered_models=_known(context, project),
        write_test=write_test,
    )
    uri = here.server.tracking_uri if here.server else None
    found = [replace(each, hint=each.hint and for_stack(each.hint, project, uri)) for each in examine(SUBJECTS, here, timeout_s=timeout_s)]
    healths = [each.health for each in found]
    return Examination(found, healths.count(Health.FAULT), healths.count(Health.WARNING))


def _known(context: Context, project: Path) -> tuple[str, ...]:
    """Return the registered models of the settings, of the project's file and of the services here; the store is not read for them."""
    further = [model.name for model in read_project_file(project).further_models]
    return tuple(dict.fromkeys((context.registered_model, *further, *running_services(context.state.state_dir))))
