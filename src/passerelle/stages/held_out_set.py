"""Which held-out set a training uses: that of the latest training, so that rows keep their side, unless a person takes a fresh one."""

from __future__ import annotations

from dataclasses import dataclass

from passerelle.errors import NotFoundError, UsageError
from passerelle.gate.row_hashes import row_hashes
from passerelle.names import HELD_OUT_SET, TRAIN_HASHES
from passerelle.registry.client import Registry
from passerelle.registry.training_data import training_of
from passerelle.registry.training_tags import tags_of_trainings
from passerelle.training.plan import TrainingPlan
from passerelle.training.sides import FIRST


@dataclass(frozen=True)
class HeldOutChoice:
    """What a person asks for.

    Attributes:
        number: Of the held-out set; None for that of the latest training.
        refresh: Take one that no training of the experiment has used.
    """

    number: int | None = None
    refresh: bool = False

    def __post_init__(self) -> None:
        if self.number is not None and self.refresh:
            message = "--refresh-held-out takes the next held-out set, and --held-out-set names one"
            raise UsageError(message, hint="passerelle train --refresh-held-out")


SAME = HeldOutChoice()


def number_of(registry: Registry, choice: HeldOutChoice) -> int:
    """Return the number of the held-out set that is asked for."""
    if choice.number is not None:
        return choice.number
    used = [int(each) for each in tags_of_trainings(registry, HELD_OUT_SET) if each.isascii() and each.isdigit()]
    if not choice.refresh:
        return used[0] if used else FIRST
    return max(used, default=FIRST) + 1


def notes_on_fresh_rows(registry: Registry, plan: TrainingPlan, number: int) -> tuple[str, ...]:
    """Say what a fresh held-out set does to later comparisons, and how many of its rows the version in production learned from."""
    rows = len(plan.parts.held_out)
    fresh = f"held-out set {number}: {rows:,} rows that no earlier verdict was given by, so looks at them are counted from the first"
    name = registry.settings.registered_model
    production = registry.aliases(name).get(registry.settings.alias)
    if production is None:
        return (fresh,)
    try:
        run_id = registry.model_version(name, production).ref.run_id
        learned = set(registry.read_json(training_of(registry, run_id), TRAIN_HASHES)["rows"])
    except (NotFoundError, LookupError, TypeError):
        return (fresh, f"nobody knows how many of them version {production}, which is in production, learned from")
    known = sum(each in learned for each in row_hashes(plan.data.records.iloc[plan.parts.held_out]))
    learned_from = f"version {production}, which is in production, learned from {known:,} of them, and is not compared on those"
    return (fresh, f"{learned_from}; where too few are left, promote compares both recipes by cross-validation") if known else (fresh,)
