"""What a training compares: a named pipeline that has not been fitted."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sklearn.pipeline import Pipeline

#: From the first quotation mark to the last: what an error quotes may be a citizen's text.
_QUOTED = re.compile(r"(['\"`«]).*['\"`»]", re.DOTALL)
_LONGEST_REASON = 300


@dataclass(frozen=True)
class Candidate:
    """A pipeline that has not been fitted.

    Attributes:
        name: Lower case with underscores; the run's name and tag.
        description: One line for people.
        pipeline: Takes a DataFrame with the record's columns.
        trusted_types: Types of scikit-learn that the model's allow-list must name for skops to load it.
    """

    name: str
    description: str
    pipeline: Pipeline
    trusted_types: tuple[str, ...] = ()


@dataclass(frozen=True)
class FailedCandidate:
    """A candidate that is left out of a training.

    Attributes:
        reason: Why, as the end of a sentence about it.
        hint: The command to type once that is mended.
    """

    name: str
    reason: str
    hint: str


@dataclass(frozen=True)
class FitFailure:
    """What a pipeline raised while it was fitted, or while it predicted.

    Attributes:
        reason: The error without what it quotes, which may be a citizen's text.
    """

    reason: str

    @classmethod
    def of(cls, error: Exception) -> FitFailure:
        """Return the failure that an error is, with the place where it was raised."""
        place, trace = "", error.__traceback__
        while trace is not None:
            place, trace = f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}, line {trace.tb_lineno}", trace.tb_next
        text = " ".join(_QUOTED.sub("…", str(error)).split())[:_LONGEST_REASON]
        return cls(f"{type(error).__name__}{f': {text}' if text else ''} ({place})")


def failed(candidate: Candidate, failure: FitFailure) -> FailedCandidate:
    """Return the candidate as one that could not be fitted."""
    return FailedCandidate(candidate.name, f"cannot be fitted: {failure.reason}", f"passerelle train --candidate {candidate.name}")


def names_as_tag(candidates: Sequence[Candidate]) -> str:
    """Return the names of a training's candidates as the tag of its run: a training of some is not the training of all."""
    return ",".join(candidate.name for candidate in candidates)


def failures_as_json(failures: Sequence[FailedCandidate]) -> str:
    """Return the candidates that could not be fitted as the tag of their training's run."""
    return json.dumps([asdict(each) for each in failures], ensure_ascii=False)


def read_failures(tag: str | None) -> tuple[FailedCandidate, ...]:
    """Return the candidates that a training's run names as failed."""
    return tuple(FailedCandidate(**each) for each in json.loads(tag or "[]"))
