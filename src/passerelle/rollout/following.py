"""What a service follows, and how it learns that the alias moved."""

from __future__ import annotations

from dataclasses import dataclass

from passerelle.follow_settings import FollowSettings

_ON = "export PASSERELLE_FOLLOW_WEBHOOK=on; passerelle up\nexport PASSERELLE_FOLLOW_WEBHOOK=on; passerelle deploy --target compose"


@dataclass(frozen=True)
class Following:
    """What a service follows.

    Attributes:
        target: As PASSERELLE_FOLLOW names it.
        interval_s: Time between two polls.
        webhook: Whether MLflow's webhook lets it poll at once.
        problem: Why there is no webhook; None where there is one.
        next_command: What leads to one.
    """

    target: str
    interval_s: float
    webhook: bool
    problem: str | None = None
    next_command: str | None = None

    def __str__(self) -> str:
        polls = f"follows {self.target}: polls every {self.interval_s:g} s"
        return f"{polls}, and at once when MLflow's webhook calls" if self.webhook else f"{polls}; polling alone is on: {self.problem}"


def following_of(settings: FollowSettings, *, problem: str | None = None, next_command: str | None = None) -> Following | None:
    """Return what is followed by these settings; None for nothing.

    Args:
        problem: Why the webhook that is wanted could not be made.
        next_command: What leads to one.
    """
    if not settings.follow:
        return None
    if not settings.follow_webhook:
        problem, next_command = problem or "PASSERELLE_FOLLOW_WEBHOOK is off", next_command or (None if problem else _ON)
    return Following(settings.follow, settings.follow_interval_s, problem is None, problem, next_command)
