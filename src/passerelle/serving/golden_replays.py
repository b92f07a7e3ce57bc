"""Golden inputs that `deploy` replays: answered like any other record, and counted apart from the traffic.

A request that says it is a replay is one only if its record is a golden input of the model. So no client hides other records from the
metrics or the prediction log, and its requests are still counted, under a route of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from passerelle.names import GOLDEN_REPLAY_HEADER, GOLDEN_ROUTE
from passerelle.serving.answers import content_of

if TYPE_CHECKING:
    from passerelle.model.loaded import LoadedModel
    from passerelle.serving.contract import Values
    from passerelle.serving.following.live_candidate import Answering
    from passerelle.serving.recording import Recorder
    from passerelle.serving.runtime import Runtime

#: Header that a replay carries, as ASGI has it; its value says nothing.
GOLDEN_REPLAY = GOLDEN_REPLAY_HEADER.lower().encode()
_FOUND = b"golden"
#: The value of that key once a record was found among the golden inputs: this object itself, and not what a client sent.
_MARK = b"the record is a golden input"


def metric_of(route: str, headers: Mapping[bytes, bytes]) -> str:
    """Return the route that a request counts for."""
    return GOLDEN_ROUTE if headers.get(_FOUND) is _MARK else route


class GoldenReplays:
    """Answers golden inputs without counting them; all else is answered by what would have answered it.

    Args:
        headers: Of the request; gets a mark where its record is a golden input.
    """

    def __init__(self, runtime: Runtime, others: Answering, headers: dict[bytes, bytes]) -> None:
        self._runtime = runtime
        self._others = others
        self._headers = headers

    async def classify(
        self,
        record: Mapping[str, Any],
        model: LoadedModel | None = None,
        recorder: Recorder | None = None,
        params: Values | None = None,
    ) -> dict[str, Any]:
        """Return the answer to one record."""
        model = model or self._runtime.ready()
        if dict(record) not in map(dict, model.golden.inputs):
            return await self._others.classify(record, model, recorder, params)
        self._headers[_FOUND] = _MARK
        row = await self._runtime.predictor.one(model, record, params)
        return content_of(model, row, review_threshold=self._runtime.settings.review_threshold)

    async def classify_batch(
        self,
        records: Sequence[Mapping[str, Any]],
        model: LoadedModel | None = None,
        recorder: Recorder | None = None,
        params: Values | None = None,
    ) -> dict[str, Any]:
        """Return the answers to several records, which are no replay."""
        return await self._others.classify_batch(records, model, recorder, params)
