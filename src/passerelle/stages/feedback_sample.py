"""Draw the daily random sample of answers for a person to look at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import orjson

from passerelle.errors import NotFoundError, SeveralModelsError, UsageError
from passerelle.monitoring.daily_sample import sample_of
from passerelle.monitoring.prediction_log.corrections import chosen_rows
from passerelle.monitoring.prediction_log.log_place import LogPlace
from passerelle.monitoring.prediction_log.partitions import logged_days, prediction_batches
from passerelle.monitoring.prediction_log.trees import PREDICTIONS, TEXTS
from passerelle.stages.context import Context, stage
from passerelle.stages.log_location import log_location
from passerelle.training.feedback_table import check_format, write_table

_ANSWER = ("prediction_id", "label", "probability", "model_version")
_OF_A_DAY = ("prediction_id", "golden", "registered_model")


@dataclass(frozen=True)
class SampledAnswer:
    """One answer of the sample.

    Attributes:
        answered: Its label.
        fields: The record, as far as the log holds it.
    """

    prediction_id: str
    answered: str
    probability: float | None
    model_version: str
    fields: dict[str, object] | None


@dataclass(frozen=True)
class DailySample:
    """The sample of a day.

    Attributes:
        answers: How many the day has.
        sample: In random order.
        path: Table to fill in and import; None where none was written.
    """

    day: date
    answers: int
    sample: tuple[SampledAnswer, ...]
    path: Path | None = None


@stage
def run(context: Context, day: date, *, count: int = 20, output: Path | None = None, registered_model: str | None = None) -> DailySample:
    """Return the random sample of a day: the same answers each time and on each machine that reads the same log.

    Args:
        count: Of its answers.
        output: CSV or Parquet file to fill in: `label` is empty, `answered` is the answer's own.
        registered_model: Whose answers; needed where several models answered on that day.

    Raises:
        NotFoundError: The day has no answer.
        SeveralModelsError: Several models answered on that day, and none is named.
        UsageError: The file is there already.
        OutsideError: The log cannot be read.
    """
    if output is not None:
        check_format(output)
        if output.exists():
            raise UsageError(f"{output} is there already", hint=f"passerelle feedback sample --day {day} --output FILE")
    place = log_location(context).place
    ids = _ids(place, day, registered_model)
    chosen = sample_of(ids, day, count)
    answers, texts = chosen_rows(place, PREDICTIONS, chosen, _ANSWER), chosen_rows(place, TEXTS, chosen, ("prediction_id", "fields"))
    sample = tuple(
        SampledAnswer(
            prediction_id=key,
            answered=answers[key]["label"],
            probability=answers[key]["probability"],
            model_version=answers[key]["model_version"],
            fields=orjson.loads(texts[key]["fields"]) if key in texts else None,
        )
        for key in chosen
    )
    if output is not None:
        _write(output, sample)
    return DailySample(day, len(set(ids)), sample, output)


def _ids(place: LogPlace, day: date, registered_model: str | None) -> list[str]:
    """Return the ids of a day's answers of one model, without those to golden inputs."""
    by_model: dict[str, list[str]] = {}
    for batch in prediction_batches(place, [day], _OF_A_DAY):
        for key, golden, name in zip(*(batch.column(column).to_pylist() for column in _OF_A_DAY), strict=True):
            if not golden and registered_model in (None, name):
                by_model.setdefault(name, []).append(key)
    if len(by_model) > 1:
        raise SeveralModelsError(f"several models answered on {day}", sorted(by_model))
    if not by_model:
        of = f" by '{registered_model}'" if registered_model else ""
        other = [each for each in logged_days(place) if each != day]
        hint = f"passerelle feedback sample --day {other[-1]}" if other else "passerelle status"
        raise NotFoundError(f"the prediction log has no answer of {day}{of}", hint=hint)
    return next(iter(by_model.values()))


def _write(output: Path, sample: tuple[SampledAnswer, ...]) -> None:
    own = ("prediction_id", "label", "comment", "answered")
    columns = tuple(dict.fromkeys(column for answer in sample for column in answer.fields or {} if column not in own))
    rows = [
        {**(answer.fields or {}), "prediction_id": answer.prediction_id, "label": None, "answered": answer.answered} for answer in sample
    ]
    write_table(output, (*own, *columns), rows)
