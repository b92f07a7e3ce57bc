"""The variables by which mlflow, bentoml and boto3 reach a platform."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from passerelle.follow_settings import FollowSettings
from passerelle.platform.state import own_environment, running, starting
from passerelle.proxy_variables import loopback_direct
from passerelle.rollout.following import following_of
from passerelle.rollout.stack import find_stack
from passerelle.stages.context import Context, Progress, silent, stage

Platform = Literal["embedded", "compose"]


@stage
def run(context: Context, target: Platform = "embedded", *, project: Path = Path(), progress: Progress = silent) -> Mapping[str, str]:
    """Return the variables of the embedded platform, or of the compose stack.

    Args:
        project: Root of the project, for the stack.
        progress: Told what the service follows, and what is missing while the embedded platform is off; the variables that do not
            depend on it are returned all the same.
    """
    following = following_of(FollowSettings.read())
    if following is not None:
        progress(f"the service {following}")
    if target == "compose":
        return find_stack(project).environment()
    state_dir = context.state.state_dir
    platform = running(state_dir)
    if platform is None:
        pid = starting(state_dir)
        state = f"is starting (process {pid}), and does not answer yet" if pid else "is off"
        progress(f"the embedded platform in {state_dir} {state}: no MLFLOW_TRACKING_URI and no variables of the S3")
        progress('once it answers: eval "$(passerelle env)"' if pid else "to start it: passerelle up, in another terminal")
        return own_environment(state_dir)
    return {**platform.environment, **loopback_direct(context.environment)}
