"""What `POST /feedback` takes: the right label of an answer, checked, and handed to the prediction log."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, WithJsonSchema, create_model
from pydantic_core import PydanticCustomError

from passerelle.model.answer import label_text
from passerelle.model.prediction_id import is_prediction_id, run_prefix_of, time_of
from passerelle.monitoring.feedback_metrics import REPEATED, SERVED, UNKNOWN_VERSION, FeedbackMetrics
from passerelle.monitoring.prediction_log.record import LoggedFeedback
from passerelle.retention_settings import RetentionSettings
from passerelle.serving.body import BodyReader
from passerelle.serving.contract import Contract, RequestError, request_error_of
from passerelle.serving.field_types import not_blank
from passerelle.serving.responses import Receive

if TYPE_CHECKING:
    from passerelle.model.loaded import LoadedModel
    from passerelle.monitoring.prediction_log.writer import PredictionLog
    from passerelle.serving.runtime import Runtime

#: Largest body: a record of the longest text, and a comment.
_MOST_BODY_BYTES = 262_144
_LONGEST_LABEL, _LONGEST_BY, _LONGEST_COMMENT = 300, 100, 2_000
#: Feedback that is remembered, so that a repetition is not written again.
_REMEMBERED = 10_000
_MOST_VERSIONS = 100
#: The clocks of two replicas may differ by so much.
_AHEAD = timedelta(minutes=5)
ACCEPTED = b'{"accepted":true}'


class _Latest(NamedTuple):
    """The last feedback of somebody about an answer."""

    content: bytes
    at: datetime


class _Version(NamedTuple):
    """A version that this worker serves or has served."""

    registered_model: str
    labels: Mapping[bytes, str]
    contract: Contract
    schema: type[BaseModel]


def feedback_schema(contract: Contract, *, texts: bool = True) -> type[BaseModel]:
    """Return the pydantic model of a feedback on answers to records of this contract.

    Args:
        texts: Whether all labels are texts and have no names beside.
    """

    def text(longest: int) -> Any:
        return Annotated[str, StringConstraints(strict=True, min_length=1, max_length=longest), AfterValidator(not_blank)]

    record: Any = contract.record | None
    fields: dict[str, Any] = {
        "prediction_id": (Annotated[str, StringConstraints(strict=True)], Field(description="Of the answer.")),
        "label": (text(_LONGEST_LABEL) if texts else _LABEL, Field(description="The right label: one of the model's classes.")),
        "by": (text(_LONGEST_BY) | None, Field(default=None, description="Who says so.")),
        "comment": (text(_LONGEST_COMMENT) | None, Field(default=None, description="Kept where the texts of records are.")),
        "record": (record, Field(default=None, description="The record that was answered, where the service keeps no texts.")),
    }
    config = ConfigDict(extra="forbid", strict=True)
    return create_model("Feedback", __config__=config, __doc__="The right label of an answer.", **fields)


def _one_label(label: object) -> object:
    if not isinstance(label, str | bool | int | float) or len(str(label)) > _LONGEST_LABEL:
        raise PydanticCustomError("label_type", "no label")
    return label


#: A label of another type than text, or its text or its name.
_LABEL = Annotated[Any, AfterValidator(_one_label), WithJsonSchema({"type": ["string", "integer", "number", "boolean"]})]


def has_text_labels(model: LoadedModel) -> bool:
    """Return whether all labels are texts and have no names beside."""
    return model.description.label_names is None and all(isinstance(label, str) for label in model.labels)


def labels_of(model: LoadedModel) -> Mapping[bytes, str]:
    """Return the text of each label in the prediction log, by each form in JSON that a person may send it in.

    Those are the label as answers have it, and unless it means another label, its text, its name, and a whole number for 1.0.
    """
    if model.description.task != "classification":
        return {}
    forms = {orjson.dumps(label): label_text(label) for label in model.labels}
    for label in model.labels:
        name = (model.description.label_names or {}).get(label)
        others: list[object] = [label_text(label), *([] if name is None else [name])]
        others += [int(label)] if isinstance(label, float) and label.is_integer() else []
        for other in others:
            forms.setdefault(orjson.dumps(other), label_text(label))
    return forms


def feedback_of(runtime: Runtime, log: PredictionLog | None) -> FeedbackIntake | None:
    """Return what takes feedback in this worker; None where there is no prediction log to keep it."""
    return None if log is None else FeedbackIntake(runtime, log, days=RetentionSettings.read().log_days)


class FeedbackIntake:
    """Takes feedback in one worker.

    Args:
        runtime: What the service answers with.
        log: Where feedback is kept.
        days: Days for which the log keeps answers.
        clock: Seconds since 1970.
    """

    def __init__(self, runtime: Runtime, log: PredictionLog, *, days: int, clock: Callable[[], float] = time.time) -> None:
        self._runtime = runtime
        self._log = log
        self._days = timedelta(days=days)
        self._clock = clock
        settings = runtime.settings
        self._bodies = BodyReader(min(settings.max_body_bytes, _MOST_BODY_BYTES), settings.body_timeout_s)
        self._metrics = FeedbackMetrics(runtime.metrics.registry)
        self._latest: OrderedDict[tuple[str, str], _Latest] = OrderedDict()
        self._versions: OrderedDict[str, _Version] = OrderedDict()

    async def answer(self, headers: dict[bytes, bytes], receive: Receive, key_name: str) -> bytes:
        """Read the body of a request, and return what `accept` returns.

        Raises:
            RequestError: As `accept`; 408 and 413 for a body that comes too slowly or is too large.
        """
        body = await self._bodies.read(headers, receive)
        return await self._runtime.predictor.slices.once(lambda: self.accept(body, key_name))

    def accept(self, body: bytes, key_name: str) -> bytes:
        """Hand the feedback of a body to the log, and return the answer; the same feedback again changes nothing.

        Args:
            key_name: Of the client's API key.

        Raises:
            RequestError: 400 for what is not JSON, 422 for what is no feedback, 503 while the log takes none.
        """
        self._learn_versions()
        if not self._versions:
            self._runtime.ready()
        given, version = self._read(body)
        given = {**given, "label": self._label_of(given["label"], version)}
        key, content = (given["prediction_id"], given["by"] or ""), hashlib.blake2b(_content_of(given), digest_size=16).digest()
        latest, at = self._latest.get(key), datetime.fromtimestamp(self._clock(), UTC)
        if latest is not None and latest.content == content:
            self._metrics.accept(REPEATED)
            return ACCEPTED
        if latest is not None:
            # The latest counts, also when the clock was set back.
            at = max(at, latest.at + timedelta(milliseconds=1))
        self._add(given, key_name, at, version)
        self._latest[key] = _Latest(content, at)
        self._latest.move_to_end(key)
        if len(self._latest) > _REMEMBERED:
            self._latest.popitem(last=False)
        self._metrics.accept(UNKNOWN_VERSION if version is None else SERVED)
        return ACCEPTED

    def _read(self, body: bytes) -> tuple[dict[str, Any], _Version | None]:
        """Return the feedback of a body, and the version that answered, None where this worker does not know it."""
        try:
            content = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise RequestError(400, "malformed_json", "the body is not JSON") from None
        prediction_id = content.get("prediction_id") if isinstance(content, dict) else None
        version = self._versions.get(run_prefix_of(prediction_id)) if isinstance(prediction_id, str) else None
        by = version or next(iter(self._versions.values()))
        try:
            given = by.schema.model_validate(content).__dict__
        except ValidationError as error:
            refusal = request_error_of(error)
            message = refusal.message.replace("part of the record", "part of a feedback") if "." not in (refusal.field or "") else None
            raise replace(refusal, code="invalid_feedback", message=message or refusal.message) from None
        if given["record"] is not None:
            given = {**given, "record": by.contract.fields(given["record"])}
        self._check_id(given["prediction_id"])
        return given, version

    def _check_id(self, prediction_id: str) -> None:
        if not is_prediction_id(prediction_id):
            raise RequestError(422, "invalid_feedback", "is not an id as answers have it", "prediction_id")
        age = datetime.fromtimestamp(self._clock(), UTC) - time_of(prediction_id)
        if age < -_AHEAD:
            raise RequestError(422, "invalid_feedback", "is of a time that has not come yet", "prediction_id")
        if age > self._days:
            raise RequestError(422, "invalid_feedback", "is of an answer that is not kept any longer", "prediction_id")

    def _label_of(self, label: object, version: _Version | None) -> str:
        """Return the log's text of the label, by the version that answered; by any that is served here, where that one is unknown.

        Raises:
            RequestError: It is no class of that version, or of any.
        """
        versions = [version] if version is not None else list(self._versions.values())
        if not any(each.labels for each in versions):
            raise RequestError(422, "invalid_feedback", "the model is no classifier, and feedback is about classes", "label")
        form = orjson.dumps(label)
        for each in versions:
            if form in each.labels:
                return each.labels[form]
        raise RequestError(422, "invalid_feedback", "is none of the model's classes; /model lists them", "label")

    def _learn_versions(self) -> None:
        for runtime, model in self._models():
            if model.prediction_prefix not in self._versions:
                registered_model = str(model.lineage.get("registered_model", ""))
                labels = labels_of(model)
                schema = feedback_schema(runtime.contract, texts=has_text_labels(model))
                self._versions[model.prediction_prefix] = _Version(registered_model, labels, runtime.contract, schema)
                if len(self._versions) > _MOST_VERSIONS:
                    self._versions.popitem(last=False)

    def _models(self) -> Iterator[tuple[Runtime, LoadedModel]]:
        for runtime in (self._runtime, *self._runtime.others.values()):
            if runtime.model is not None:
                yield runtime, runtime.model
            if runtime.rollout is not None and runtime.rollout.model is not None:
                yield runtime, runtime.rollout.model

    def _add(self, given: dict[str, Any], key_name: str, at: datetime, version: _Version | None) -> None:
        feedback = LoggedFeedback(
            prediction_id=given["prediction_id"],
            at=at.isoformat(timespec="milliseconds"),
            registered_model=self._runtime.registered_model if version is None else version.registered_model,
            key_name=key_name,
            label=given["label"],
            by=given["by"] or "",
            comment=given["comment"],
            fields=given["record"],
        )
        # While the disk takes nothing, what is accepted might be lost with the process.
        if self._log.fault or not self._log.add_feedback(feedback):
            message = "feedback cannot be kept at the moment"
            raise RequestError(503, "overloaded", message, headers=((b"retry-after", b"1"),))


def _content_of(given: dict[str, Any]) -> bytes:
    return orjson.dumps([given["label"], given["comment"], given["record"]], option=orjson.OPT_SORT_KEYS)
