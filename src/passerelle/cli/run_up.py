"""The embedded platform, on stay, with the service of what is in production."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from passerelle.cli.connect import open_registry, reach, read_state, surroundings
from passerelle.cli.output import Output, print_error
from passerelle.errors import PasserelleError
from passerelle.platform.child import Child
from passerelle.platform.embedded import EmbeddedPlatform
from passerelle.rollout import local

_NEXT = (
    ("make demo", "trains the demo's candidates and promotes the best one, in another terminal"),
    (
        "passerelle train; passerelle promote --best",
        "the same by its stages; docs/01-train.md says how to train on your data",
    ),
    ("passerelle import; passerelle build; passerelle deploy", "then serves it; so does `passerelle up` after Ctrl-C here"),
)


def run(output: Output, project: Path, *, platform_only: bool, port: int) -> None:
    """Keep the platform on, and the service of the version in production unless it is left out, until a signal."""
    with ExitStack() as stack:
        platform = stack.enter_context(EmbeddedPlatform(read_state().state_dir, output.progress))
        reach(platform.running.environment)
        output.line(f"MLflow   {platform.running.tracking_uri}")
        output.line(f"S3       {platform.running.s3.endpoint_url}  (bucket {platform.running.s3.bucket})")
        service = None if platform_only else service_of_production(output, stack, project, port=port)
        output.line('In another terminal: eval "$(passerelle env)", then mlflow, bentoml, boto3 and passerelle reach it.')
        output.line("Ctrl-C ends it.")
        platform.wait([service] if service else [])
        output.line("ending")


def service_of_production(output: Output, stack: ExitStack, project: Path, *, port: int) -> Child | None:
    """Return the service of the version in production, which ends with the stack; None where there is none, with the reason printed.

    Nothing is trained, registered or promoted. What cannot be served ends nothing: the platform is needed to mend it.
    """
    from passerelle.cli.run_production import (  # noqa: PLC0415 - slow to import, and `env` needs none of it
        bento_in_production,
        is_in_production,
        say_nothing_is_in_production,
        shown_by,
    )

    try:
        here = surroundings()
        registry = open_registry(here)
        if not is_in_production(registry):
            say_nothing_is_in_production(output, registry, *_NEXT)
            return None
        tag = bento_in_production(here, registry, project, shown_by(output))
        attached = local.attached(tag, settings=here.store, state_dir=here.state.state_dir, port=port or None)
        child, deployment = stack.enter_context(attached)
    except PasserelleError as error:
        print_error(error, as_json=False)
        output.line("No service: what is in production cannot be served. The platform stays on, so that it can be mended;")
        output.line("then, in another terminal: passerelle import; passerelle build; passerelle deploy")
        return None
    output.line(f"API      {deployment.address}/docs  ({tag})")
    return child
