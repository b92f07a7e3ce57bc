"""Start a worker: with the version that the registry has in production where it follows, else with the one in the bento."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from passerelle.follow_settings import FollowSettings
from passerelle.serving.following.target import targets
from passerelle.serving.following.webhook import webhooks_of

if TYPE_CHECKING:
    from passerelle.serving.runtime import Runtime


def check_following(runtime: Runtime, settings: FollowSettings) -> None:
    """Check what the settings say of following, before any worker starts.

    Raises:
        SettingsError: As `targets`, or the secret of the webhook cannot be read.
    """
    targets(settings, runtime.registered_model)
    webhooks_of(settings)


def follow_candidate(runtime: Runtime, settings: FollowSettings) -> None:
    """Follow the candidate of the service's first registered model too; nothing waits for it."""
    from passerelle.serving.following.candidate_worker import CandidateWorker  # noqa: PLC0415 - as below
    from passerelle.serving.following.live_candidate import CandidateSlot  # noqa: PLC0415 - as below

    runtime.rollout = CandidateSlot(runtime)
    worker = runtime.rollout.worker = CandidateWorker(runtime.registered_model, settings, runtime.rollout)
    poll_production = runtime.poll_now

    def poll_both() -> None:
        if poll_production is not None:
            poll_production()
        worker.poll_now()

    runtime.poll_now = poll_both
    worker.start()


def load_and_follow(runtime: Runtime, settings: FollowSettings) -> None:
    """Load the model of a worker, and follow the registry from here on where the settings say so.

    The last good version on the disk goes before the bento's, and what the registry answers in time before both.
    """
    workers = []
    for place, target in enumerate(targets(settings, runtime.registered_model)):
        # Only a worker that follows needs any of it.
        from passerelle.serving.following.worker import FollowingWorker  # noqa: PLC0415

        followed = type(runtime).without_bento(target.registered_model, runtime) if place else runtime
        followed.following = FollowingWorker(target, settings, followed)
        followed.poll_now = followed.following.poll_now
        followed.following.start()
        workers.append(followed.following)
        if not place and settings.follow_candidate:
            follow_candidate(runtime, settings)
    deadline = time.monotonic() + settings.follow_start_s
    for worker in workers:
        worker.first_poll.wait(max(0.0, deadline - time.monotonic()))
    if runtime.model is None:
        runtime.load_or_refuse()
