"""What a model must reach and how models are ranked: ``training/criteria.yaml``, typed and known by its digest."""

from __future__ import annotations

import difflib
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from passerelle.errors import UsageError

HigherIsBetter = Literal["cv_accuracy", "cv_macro_f1"]
LowerIsBetter = Literal["cv_log_loss", "cv_calibration_error", "latency_p50_ms", "latency_p95_ms", "size_bytes", "fit_seconds"]
HIGHER_IS_BETTER = frozenset({"cv_accuracy", "cv_macro_f1"})
_SHARES = frozenset({"cv_accuracy", "cv_macro_f1", "cv_calibration_error"})


@dataclass(frozen=True)
class Failure:
    """One criterion that a model does not meet."""

    metric: str
    value: float | None
    limit: float
    message: str


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Ranking(_Section):
    """How candidates that meet the criteria are ordered."""

    primary: HigherIsBetter | LowerIsBetter = Field(default="cv_macro_f1", description="The metric that decides.")
    tie_within: float = Field(default=0.0, ge=0, description="Candidates closer than this to the best are equal by the primary metric.")
    tie_breaks: tuple[HigherIsBetter | LowerIsBetter, ...] = Field(default=(), description="Metrics that decide between equals, in order.")


class PerClass(_Section):
    """Floors that hold for each class."""

    cv_f1: float = Field(default=0.0, ge=0, le=1, description="Least cross-validated F1 of any class.")


class Criteria(_Section):
    """The criteria, typed; unknown keys are refused."""

    ranking: Ranking = Field(default=Ranking(), description="How candidates that meet the criteria are ordered.")
    minimum: Mapping[HigherIsBetter, float] = Field(default={}, description="Least value of a metric that should be high.")
    maximum: Mapping[LowerIsBetter, float] = Field(default={}, description="Largest value of a metric that should be low.")
    per_class: PerClass = Field(default=PerClass(), description="Floors that hold for each class.")

    @model_validator(mode="after")
    def _limits_can_be_met(self) -> Self:
        for name, limit in [*self.minimum.items(), *self.maximum.items()]:
            if not math.isfinite(limit) or limit < 0 or (name in _SHARES and limit > 1):
                raise ValueError(f"no model can meet {name}: {limit:g}")
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of the criteria as canonical JSON: comments and order of the file do not count."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()

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


def read_criteria(path: Path) -> Criteria:
    """Return the criteria of the file.

    Raises:
        UsageError: There is no such file, it is not YAML, or a key or value is not one of ours; names the key.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"the criteria {path} cannot be read: {error.strerror}", hint="--criteria training/criteria.yaml") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        line = str(error).replace("\n", " ")
        raise UsageError(f"the criteria {path} are not YAML: {line}", hint=f"mend {path}") from error
    if not isinstance(content, dict):
        raise UsageError(f"the criteria {path} hold no keys", hint="docs/02-compare.md shows an example")
    try:
        return Criteria.model_validate(content)
    except ValidationError as error:
        raise UsageError(f"the criteria {path} are not usable: {_first_problem(error)}", hint="docs/02-compare.md lists the keys") from None


def _first_problem(error: ValidationError) -> str:
    first: Any = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"] if part != "[key]")
    known = {name for section in (Criteria, Ranking, PerClass) for name in section.model_fields} | set(_metrics())
    close = difflib.get_close_matches(
        str(first["loc"][-2] if first["loc"][-1:] == ("[key]",) else first["loc"][-1]) if first["loc"] else "", known, n=1
    )
    message = "unknown key" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
    return f"{key}: {message}" + (f" (did you mean {close[0]}?)" if close and close[0] != key else "") if key else message


def _metrics() -> tuple[str, ...]:
    return (*HigherIsBetter.__args__, *LowerIsBetter.__args__)  # type: ignore[attr-defined]
