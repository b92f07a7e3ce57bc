"""What one worker process holds: the loaded model, its contract and its metrics; the only place that answers a record."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from passerelle.errors import PasserelleError
from passerelle.model.answer import ScoredRow
from passerelle.model.lineage import read_lineage
from passerelle.model.mlmodel import ModelDescription, describe
from passerelle.model.record import params_of
from passerelle.monitoring.metrics import Metrics
from passerelle.monitoring.shared import shared_folder
from passerelle.names import MODEL_FOLDER
from passerelle.serving.answer_schemas import AnswerSchemas, answers_of
from passerelle.serving.answers import Row, content_of, logged
from passerelle.serving.contract import Contract, RequestError, Values, contract_of
from passerelle.serving.expected_model import refuse_other_model
from passerelle.serving.failure import loading_failure
from passerelle.serving.predictor import Predictor
from passerelle.settings import ServiceSettings

if TYPE_CHECKING:
    from passerelle.model.loaded import LoadedModel
    from passerelle.monitoring.prediction_log.writer import PredictionLog
    from passerelle.serving.following.live_candidate import CandidateSlot
    from passerelle.serving.following.worker import FollowingWorker
    from passerelle.serving.recording import Recorder

#: Number of answers of a batch that are made before other requests get their turn.
_ANSWERS_A_SLICE = 16
_LONGEST_VERSION = 12
#: Stands in for the description of a model before it is known.
_UNKNOWN = ModelDescription("", (), {}, {}, None)


class Runtime:
    """The model of a bento, before and after it is loaded.

    Args:
        folder: The bento model's directory.
        settings: What is accepted and how it is answered.
        description: What is known of the model; by default what its MLmodel file says.
        metrics: Of the process, where another runtime has them already.

    Raises:
        IntegrityError: The MLmodel file cannot be read.
        UsageError: It describes no model that can be served.
    """

    def __init__(
        self, folder: Path, settings: ServiceSettings, *, description: ModelDescription | None = None, metrics: Metrics | None = None
    ) -> None:
        self.folder = self.bento_model = folder
        self.settings = settings
        self._given_metrics = metrics
        self._describe(description or describe(folder / MODEL_FOLDER))
        self.model: LoadedModel | None = None
        self.refused: PasserelleError | None = None
        self.following: FollowingWorker | None = None
        self.rollout: CandidateSlot | None = None
        self.prediction_log: PredictionLog | None = None
        #: Further registered models that the service follows, by their names.
        self.others: dict[str, Runtime] = {}
        #: Lets the registry be polled at once, where the service follows it.
        self.poll_now: Callable[[], None] | None = None

    def _describe(self, description: ModelDescription) -> None:
        """Take what the clients send records for."""
        self.description = description
        self.contract: Contract = contract_of(
            description.columns,
            max_text_characters=self.settings.max_text_characters,
            max_records=self.settings.max_records,
            example=description.example,
            params=params_of(description.signature),
            max_binary_bytes=self.settings.max_binary_bytes,
            max_array_items=self.settings.max_array_items,
            ignore_extra=self.settings.extra_fields == "ignore",
        )
        self.answers: AnswerSchemas = answers_of(description)
        self._text_columns = tuple(column.name for column in description.columns if column.type == "string")
        texts = tuple(column.name for column in description.columns if column.scalar == "string")
        self.predictor = Predictor(self.settings, texts, together=self._predicted_together)

    @classmethod
    def without_bento(cls, registered_model: str, runtime: Runtime) -> Runtime:
        """Return the runtime of a further registered model that the service follows; its first version says which records it takes."""
        runtime_of_model = cls(Path(registered_model), runtime.settings, description=_UNKNOWN, metrics=runtime.metrics)
        runtime_of_model.bento_model = runtime.bento_model
        runtime.others[registered_model] = runtime_of_model
        return runtime_of_model

    @classmethod
    def or_refused(cls, folder: Path, settings: ServiceSettings) -> Runtime:
        """Return the runtime of a model; for one that cannot be described, a runtime that runs and is never ready."""
        try:
            return cls(folder, settings)
        except Exception as error:  # noqa: BLE001 - whatever a damaged file makes its reader raise
            runtime = cls(folder, settings, description=_UNKNOWN)
            runtime.refused = loading_failure(error, folder)
            return runtime

    @cached_property
    def metrics(self) -> Metrics:
        """The metrics of this worker; the process that starts the workers has none."""
        return self._given_metrics or Metrics(shared_folder())

    def _predicted_together(self, records: int) -> None:
        self.metrics.together.observe(records)

    @property
    def queued(self) -> int:
        """How many records wait for the pipeline."""
        return self.predictor.queued

    def load(self) -> LoadedModel:
        """Load the model and check its golden predictions; then the service is ready.

        Raises:
            IntegrityError: The model is not the one that was registered, or does not reproduce its golden predictions.
        """
        # Only a worker loads a model; the process that starts the workers does without numpy.
        from passerelle.model.loaded import load_model  # noqa: PLC0415

        self.take(model := load_model(self.folder))
        return model

    def take(self, model: LoadedModel) -> None:
        """Answer with this model from here on; requests that were begun end with the former one."""
        from passerelle.model.loaded import freeze  # noqa: PLC0415 - as above

        if not self.description.columns:
            self._describe(model.description)
        if created := model.lineage.get("created"):
            self.metrics.model_created.labels(model.version).set(datetime.fromisoformat(str(created)).timestamp())
        self.metrics.model_loaded.labels(model.version).set_to_current_time()
        self.metrics.model_load_seconds.labels(model.version).set(model.load_seconds)
        allow_many_connections()
        self.predictor.prepare(model)
        self.answers = answers_of(model.description, model.labels)
        freeze()
        # Answers depend on the model alone, so this one assignment is the swap.
        self.model = model

    def load_or_refuse(self) -> None:
        """Load the model; after any error the worker keeps running, logs why, and is never ready.

        A worker that ended instead would be started again and again.
        """
        try:
            if self.refused is None:
                refuse_other_model(self.folder)
                self.load()
                return
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - a panic in a package written in Rust is no Exception
            self.refused = loading_failure(error, self.folder)
        print(f"the model is refused: {self.refused.message}{self.refused.next_lines}", file=sys.stderr, flush=True)  # noqa: T201

    @cached_property
    def _lineage(self) -> Mapping[str, Any]:
        try:
            return read_lineage(self.folder)
        except PasserelleError:
            return {}

    @property
    def registered_model(self) -> str:
        """The registered model that the bento was built from; empty where its lineage cannot be read."""
        return str(self._lineage.get("registered_model", ""))

    @property
    def task(self) -> str | None:
        """What the bento's model was trained for; None where that is not known."""
        task = self._lineage.get("task")
        return str(task) if task else None

    def readiness(self) -> dict[str, Any]:
        """Return the content of /readyz."""
        follows = {} if self.following is None else {"following": self.following_state()}
        follows |= {} if self.rollout is None else {"candidate": self.rollout.readiness()}
        if self.others:
            follows |= {"models": {name: other.readiness() for name, other in self.others.items()}}
        if self.model is None:
            return {"ready": False, "model_version": None, "reason": "model_refused" if self.refused else "loading"} | follows
        if not self.model.alive:
            return {"ready": False, "model_version": self.model.version, "reason": "model_ended"} | follows
        return {"ready": True, "model_version": self.model.version} | follows

    def following_state(self) -> dict[str, Any]:
        """Return where following stands."""
        assert self.following is not None  # noqa: S101 - the callers asked
        state = self.following.state
        return {"alias": str(self.following.target), **asdict(state)}

    def ready(self) -> LoadedModel:
        """Return the loaded model.

        Raises:
            RequestError: 503 until it is loaded.
        """
        if self.model is None:
            message = "the model is refused; the operator finds the cause in the log" if self.refused else "the model is not loaded yet"
            raise RequestError(503, "not_ready", message, headers=((b"retry-after", b"1"),))
        return self.model

    def ready_with(self, least: bytes | None) -> LoadedModel:
        """Return the loaded model, of the version that a client insists on or a later one.

        Args:
            least: Value of the header that names the version; None without it.

        Raises:
            RequestError: 503 until a model is loaded, 400 for what is no version, 409 while an earlier version is served.
        """
        model = self.ready()
        if least is None:
            return model
        if not least.isdigit() or len(least) > _LONGEST_VERSION:
            raise RequestError(400, "invalid_version", "X-Least-Model-Version holds no version number")
        if not model.version.isdigit() or int(model.version) < int(least):
            if self.poll_now is not None:
                self.poll_now()
            message = f"version {model.version} is served here, and the request asks for {int(least)} or later"
            raise RequestError(409, "version_not_served", message, headers=((b"retry-after", b"1"),))
        return model

    async def classify(
        self,
        record: Mapping[str, Any],
        model: LoadedModel | None = None,
        recorder: Recorder | None = None,
        params: Values | None = None,
    ) -> dict[str, Any]:
        """Return the answer to one record, as the contract of the model's task has it.

        Args:
            model: What answers; by default the model that is loaded now.
            recorder: Records the answer; None where there is no prediction log.
            params: As the contract read them; None for a model without params.

        Raises:
            RequestError: 503 until the model is loaded, 422 for values that it cannot take, 504 when it takes too long.
        """
        model = model or self.ready()
        return self._answer(model, record, await self.predictor.one(model, record, params), recorder)

    async def classify_batch(
        self,
        records: Sequence[Mapping[str, Any]],
        model: LoadedModel | None = None,
        recorder: Recorder | None = None,
        params: Values | None = None,
    ) -> dict[str, Any]:
        """Return the answers to several records, in their order, all by one version.

        Raises:
            RequestError: As `classify`.
        """
        model = model or self.ready()
        self.metrics.batch_records.observe(len(records))
        rows = await self.predictor.several(model, records, params)
        return {"predictions": await self.predictor.slices.run(self._answers(model, records, rows, recorder))}

    def _answers(
        self, model: LoadedModel, records: Sequence[Mapping[str, Any]], rows: Sequence[Row], recorder: Recorder | None
    ) -> Generator[None, None, list[dict[str, Any]]]:
        answers = []
        for record, row in zip(records, rows, strict=True):
            answers.append(self._answer(model, record, row, recorder))
            if len(answers) % _ANSWERS_A_SLICE == 0:
                yield
        return answers

    def _answer(self, model: LoadedModel, record: Mapping[str, Any], row: Row, recorder: Recorder | None) -> dict[str, Any]:
        content = content_of(model, row, review_threshold=self.settings.review_threshold)
        for_log = logged(content, model)
        self.metrics.predicted(for_log["label"], model.version)
        for column in self._text_columns:
            self.metrics.characters.observe(len(record[column] or ""))
        if for_log["review"]:
            self.metrics.review(model.version)
        if recorder is not None:
            recorder.add(model, record, for_log, row.known_ngrams if isinstance(row, ScoredRow) else None)
        return content


def allow_many_connections() -> None:
    """Raise the limit of open files to what this process may have: each connection is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
