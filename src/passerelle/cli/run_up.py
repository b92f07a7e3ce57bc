"""The embedded platform, on stay."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

from passerelle.cli.connect import bento_store, read_state
from passerelle.cli.output import Output
from passerelle.errors import OutsideError
from passerelle.platform.embedded import EmbeddedPlatform
from passerelle.platform.state import RunningPlatform, running
from passerelle.rollout import local


def running_platform() -> RunningPlatform:
    """Return the embedded platform that runs.

    Raises:
        OutsideError: None does.
    """
    state = read_state()
    platform = running(state.state_dir)
    if platform is None:
        raise OutsideError(f"the embedded platform in {state.state_dir} does not run", hint="passerelle up, in another terminal")
    return platform


def run(output: Output, project: Path, criteria_path: Path, *, platform_only: bool, port: int) -> None:
    """Keep the platform on, and the service of the newest bento unless it is left out, until a signal."""
    from passerelle.cli.run_demo import path_to_bento  # noqa: PLC0415

    state = read_state()
    with ExitStack() as stack:
        platform = stack.enter_context(EmbeddedPlatform(state.state_dir, output.progress))
        os.environ.update(platform.running.environment)
        output.line(f"MLflow   {platform.running.tracking_uri}")
        output.line(f"S3       {platform.running.s3.endpoint_url}  (bucket {platform.running.s3.bucket})")
        extra = []
        if not platform_only:
            bento_tag = path_to_bento(output, project, criteria_path)
            store = bento_store(state)
            attached = local.attached(bento_tag, settings=store, state_dir=state.state_dir, port=port or None)
            child, deployment = stack.enter_context(attached)
            extra.append(child)
            output.line(f"API      {deployment.address}/docs  ({bento_tag})")
        output.line('In another terminal: eval "$(passerelle env)", then mlflow, bentoml, boto3 and passerelle reach it.')
        output.line("Ctrl-C ends it.")
        platform.wait(extra)
        output.line("ending")
