"""What a model must reach and how models are ranked: ``training/criteria.yaml``, typed and known by its digest."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

HigherIsBetter = Literal["cv_accuracy", "cv_macro_f1"]
LowerIsBetter = Literal["cv_log_loss", "cv_calibration_error", "latency_p50_ms", "latency_p95_ms", "size_bytes", "fit_seconds"]
HIGHER_IS_BETTER = frozenset({"cv_accuracy", "cv_macro_f1"})
#: These are reproducible; times are not, and a ranking by them would be random.
Repeatable = Literal["cv_accuracy", "cv_macro_f1", "cv_log_loss", "cv_calibration_error", "size_bytes"]
_TIMES = frozenset({"latency_p50_ms", "latency_p95_ms", "fit_seconds"})
Check = Literal[
    "leakage", "scorer", "label_in_text", "signature", "classes", "libraries", "training_rows", "never_predicted", "swapped",
    "accuracy", "macro_f1", "log_loss", "calibration_error", "latency_p95_ms", "size_bytes", "memory_mib",
    "class_f1", "slice short", "slice capitals", "slice no_accents", "slice label", "champion",
    "reference", "contradictions", "recipes", "behaviour", "task", "mae", "rmse", "r2", "exact_match",
]  # fmt: skip
Share = Annotated[float, Field(ge=0, le=1)]
#: More than any file of rows, or any day of answers, has.
_MOST = 1_000_000_000
#: Keys of `champion` in earlier criteria.
_FORMER = frozenset({"must_be_better", "not_worse_by", "margin_on", "confidence"})
_SHARES = frozenset({"cv_accuracy", "cv_macro_f1", "cv_calibration_error", "calibration_error"})


@dataclass(frozen=True)
class Failure:
    """One criterion that a model does not meet."""

    metric: str
    value: float | None
    limit: float
    message: str


def _refuse_what_no_model_meets(limits: Iterable[tuple[str, float]]) -> None:
    for name, limit in limits:
        if limit < 0 or (name in _SHARES and limit > 1):
            raise ValueError(f"no model can meet {name}: {limit:g}")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Ranking(_Section):
    """How candidates that meet the criteria are ordered."""

    primary: Repeatable = Field(default="cv_macro_f1", description="The metric that decides.")
    tie_within: float = Field(default=0.0, ge=0, description="Candidates closer than this to the best are equal by the primary metric.")
    tie_breaks: tuple[Repeatable, ...] = Field(default=(), description="Metrics that decide between equals, in order.")

    @field_validator("primary", "tie_breaks", mode="before")
    @classmethod
    def _no_time_decides(cls, given: Any) -> Any:
        times = [name for name in (given if isinstance(given, list | tuple) else [given]) if isinstance(name, str) and name in _TIMES]
        if times:
            raise ValueError(f"{times[0]} differs with each training, so the ranking would be random; set a limit under maximum instead")
        return given


class PerClass(_Section):
    """Floors that hold for each class."""

    cv_f1: float = Field(default=0.0, ge=0, le=1, description="Least cross-validated F1 of any class.")


class Reference(_Section):
    """A test set of a team's own, which no training sees."""

    file: str = Field(min_length=1, description="Path of the file, below the project's folder.")
    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$", description="`sha256:…` of the file, as `sha256sum` prints it.")
    label: str = Field(default="label", min_length=1, description="Column of the right answer.")
    text_column: str | None = Field(default=None, description="Column of the text, where it has another name than in the model.")


class Behaviour(_Section):
    """A suite of texts whose labels are known to a person, or must not depend on a word."""

    file: str = Field(min_length=1, description="Path of the suite, below the project's folder.")
    minimum: Share = Field(default=1.0, description="Least share of its cases that must pass.")
    digest: str | None = Field(default=None, pattern=r"^sha256:[0-9a-f]{64}$", description="Of the file, where it is pinned.")


class HeldOut(_Section):
    """What the gate demands of its own scoring, on held-out rows that the model did not learn from."""

    minimum: Mapping[Literal["accuracy", "macro_f1", "r2", "exact_match"], Share] = Field(
        default={}, description="Least value of a figure that should be high; one that the model's task does not have is not asked for."
    )
    maximum: Mapping[Literal["log_loss", "calibration_error", "latency_p95_ms", "size_bytes", "memory_mib", "mae", "rmse"], float] = Field(
        default={}, description="Largest value of a figure that should be low; likewise."
    )
    class_f1: Share = Field(default=0.0, description="Least F1 of any class with enough rows.")
    classes: Mapping[str, Share] = Field(
        default={}, description="Least F1 of the classes named here, however few rows they have, in place of class_f1."
    )
    class_rows: int = Field(default=5, ge=1, le=_MOST, description="Rows that a class needs to be judged by itself.")
    slices: Mapping[Literal["short", "capitals", "no_accents", "label"], Share] = Field(
        default={},
        description="Least accuracy on short texts, on texts in capitals, on texts without accents, on the rows of any one label.",
    )
    rows: int = Field(
        default=1, ge=1, le=_MOST, description="Held-out rows that must be left once those that were learned from are taken out."
    )
    required: bool | None = Field(
        default=None,
        description="Whether a version without labelled rows is refused; by default only where the environment is `production`.",
    )
    unknown_leakage: Literal["reason", "accept", "refuse"] = Field(
        default="reason",
        description="What it takes where nobody knows the training rows: a person's reason, nothing, or a waiver of `leakage`.",
    )

    reference: Reference | None = Field(default=None, description="Test set to judge by, in place of the rows that a training held out.")
    behaviour: Behaviour | None = Field(default=None, description="Behaviour suite that the model must pass.")
    contradictions: Share = Field(
        default=0.05, description="Largest share of the rows that the champion or the reference knows too, and labels otherwise."
    )

    @model_validator(mode="after")
    def _limits_can_be_met(self) -> Self:
        _refuse_what_no_model_meets(self.maximum.items())
        return self


class Champion(_Section):
    """How a challenger must do next to the version in production."""

    metric: Literal["accuracy", "macro_f1"] = Field(default="macro_f1", description="The metric that both are compared by.")
    margin: Share = Field(default=0.02, description="By how much the challenger may be worse; the lower end of the interval decides.")
    superior: bool = Field(default=False, description="Whether the challenger must be better, beyond chance, than the champion.")
    level: float = Field(
        default=0.05, ge=0.0001, le=0.5, description="Largest chance that one which is worse by the margin passes at any of all looks."
    )
    too_few: Literal["reason", "refuse", "accept"] = Field(
        default="reason", description="What it takes where the rows are too few to tell: a person's reason, another test set, or nothing."
    )
    resamples: int = Field(default=2_000, ge=100, le=100_000, description="Resamples of the bootstrap.")
    seed: int = Field(default=0, ge=0, le=_MOST, description="Of the bootstrap.")
    share_of_rows: Share = Field(default=0.5, description="Least number of training rows, as a share of the champion's.")

    @model_validator(mode="before")
    @classmethod
    def _former_keys(cls, given: Any) -> Any:
        """Take former keys that say the same today, and refuse those that do not with the lines to write instead."""
        if not isinstance(given, Mapping) or not _FORMER & given.keys():
            return given
        now = {key: value for key, value in given.items() if key not in _FORMER}
        if given.get("must_be_better") not in (None, False) or given.get("margin_on") not in (None, "interval") or "confidence" in given:
            margin = given.get("not_worse_by", given.get("margin", 0.02))
            former = ", ".join(sorted(_FORMER & given.keys()))
            lines = f"margin: {margin}, level: 0.05, superior: false (true: it must be better beyond chance), too_few: reason"
            raise ValueError(f"in place of {former}, which compared values without their uncertainty, write {lines}")
        if "not_worse_by" in given:
            if "margin" in given:
                raise ValueError("not_worse_by is the former name of margin; write margin alone")
            now["margin"] = given["not_worse_by"]
        return now


class Waivable(_Section):
    """A check that may be waived, and by whom."""

    check: Check = Field(description="Name of the check, as the report has it.")
    by: tuple[str, ...] = Field(min_length=1, description="Users, as the ledger names them: with or without their host.")


class Rollout(_Section):
    """What a candidate must keep to while it answers beside the version in production; the service stops sending to it otherwise."""

    max_error_share: Share = Field(default=0.01, description="Largest share of its requests that it cannot answer.")
    max_latency_ratio: float = Field(default=2.0, gt=0, description="Most time of a request, as a multiple of production's.")
    max_review_share_difference: Share = Field(
        default=0.15, description="Largest difference between the shares of answers that a person should look at."
    )
    min_agreement: Share = Field(default=0.5, description="Least share of the records that both label alike, in shadow mode.")
    min_requests: int = Field(default=200, ge=1, le=_MOST, description="Requests of the candidate before any limit counts.")


class Drift(_Section):
    """When figures of the prediction log are an alarm: beyond chance, by as much as a person cares about, and for days in a row."""

    p_value: float = Field(default=0.001, gt=0, lt=0.5, description="A difference counts if it has less than this chance without drift.")
    days_in_row: int = Field(default=2, ge=1, le=7, description="Days in a row on which a difference must count.")
    min_answers: int = Field(default=500, ge=50, le=_MOST, description="Answers that a window needs to be judged by.")
    sample_size: int = Field(default=20, ge=1, le=1_000, description="Answers of each day that are drawn at random for a person to label.")
    min_sample: int = Field(default=100, ge=20, le=_MOST, description="Labelled answers of the daily random sample that a window needs.")
    class_points: Share = Field(default=0.03, description="Least move of the share of a label that counts.")
    class_ratio: float = Field(default=0.3, ge=0, description="Least move of that share, as a share of what it was.")
    review_points: Share = Field(default=0.05, description="Likewise, of the share to review.")
    confidence_points: Share = Field(default=0.05, description="Likewise, of the mean probability of the answers.")
    unknown_points: Share = Field(default=0.05, description="Likewise, of the share of n-grams that the model does not know.")
    duplicate_points: Share = Field(default=0.05, description="Likewise, of the share of answers to a record that came before on that day.")
    language_points: Share = Field(default=0.05, description="Likewise, of the share of texts with hardly any French stop words.")
    correction_points: Share = Field(default=0.03, description="Likewise, of the share of answers that somebody corrected.")
    accuracy_points: Share = Field(default=0.05, description="Least drop of the accuracy on the daily random sample.")
    length_ratio: float = Field(default=0.25, gt=0, description="Least move of the number of words, as a share of what it was.")
    latency_ratio: float = Field(default=0.5, gt=0, description="Least rise of the latency, as a share of what it was.")
    silent_days: int = Field(default=3, ge=1, le=60, description="Days in a row without an answer that are an alarm.")
    training: bool = Field(default=True, description="Whether a difference from the held-out rows of the training is an alarm too.")


class Criteria(_Section):
    """The criteria, typed; unknown keys are refused."""

    ranking: Ranking = Field(default=Ranking(), description="How candidates that meet the criteria are ordered.")
    minimum: Mapping[HigherIsBetter, float] = Field(default={}, description="Least value of a metric that should be high.")
    maximum: Mapping[LowerIsBetter, float] = Field(default={}, description="Largest value of a metric that should be low.")
    per_class: PerClass = Field(default=PerClass(), description="Floors that hold for each class.")

    held_out: HeldOut = Field(default=HeldOut(), description="What the gate's own scoring must reach.")
    champion: Champion = Field(default=Champion(), description="How a challenger must do next to the version in production.")
    waivable: tuple[Waivable, ...] = Field(default=(), description="Checks that may be waived, with a reason that is recorded.")

    rollout: Rollout = Field(default=Rollout(), description="What a candidate must keep to beside the version in production.")
    drift: Drift = Field(default=Drift(), description="When what the service answers is an alarm.")

    @model_validator(mode="after")
    def _limits_can_be_met(self) -> Self:
        _refuse_what_no_model_meets([*self.minimum.items(), *self.maximum.items()])
        return self

    @model_validator(mode="after")
    def _do_not_contradict_each_other(self) -> Self:
        broken = [
            name for place, name in enumerate(self.ranking.tie_breaks) if name in (self.ranking.primary, *self.ranking.tie_breaks[:place])
        ]
        if broken:
            raise ValueError(f"ranking.tie_breaks: {broken[0]} has decided already, and cannot break its own ties")
        compared, judged = self.maximum.get("size_bytes"), self.held_out.maximum.get("size_bytes")
        if compared is not None and judged is not None and compared > judged:
            raise ValueError(f"size_bytes: maximum allows {compared:g}, and held_out.maximum would then refuse more than {judged:g}")
        return self

    @property
    def canonical(self) -> str:
        """The criteria as canonical JSON; what came later is left out where it is not given, so that earlier digests stay."""
        later: dict[str, Any] = dict.fromkeys({"rollout", "drift"} - self.model_fields_set, True)
        later["held_out"] = {"required", "unknown_leakage", "reference", "behaviour", "contradictions"} - self.held_out.model_fields_set
        return json.dumps(self.model_dump(mode="json", exclude=later), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON: comments and order of the file do not count."""
        return "sha256:" + hashlib.sha256(self.canonical.encode()).hexdigest()

    def check(self, metrics: Mapping[str, float]) -> tuple[Failure, ...]:
        """Return each criterion that these metrics do not meet; a missing or NaN metric meets none."""
        return tuple(failure for name, limit, at_least in self._limits(metrics) if (failure := _failure(metrics, name, limit, at_least)))

    def _limits(self, metrics: Mapping[str, float]) -> Iterator[tuple[str, float, bool]]:
        yield from ((name, limit, True) for name, limit in self.minimum.items())
        yield from ((name, limit, False) for name, limit in self.maximum.items())
        if self.per_class.cv_f1 > 0:
            yield from ((name, self.per_class.cv_f1, True) for name in sorted(metrics) if name.startswith("cv_f1/"))


def _failure(metrics: Mapping[str, float], name: str, limit: float, at_least: bool) -> Failure | None:
    value = metrics.get(name)
    if value is None or math.isnan(value):
        return Failure(name, None, limit, f"{name} was not measured")
    if value >= limit if at_least else value <= limit:
        return None
    return Failure(name, value, limit, f"{name} is {value:.4g}, {'at least' if at_least else 'at most'} {limit:g}")
