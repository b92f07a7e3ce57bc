"""The documents of the contract, made once for each model: anybody may ask for them, and to make one takes milliseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import ref

from passerelle.serving.responses import App, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from passerelle.model.loaded import LoadedModel

#: Their paths.
DOCUMENTS = frozenset({"/openapi.json", "/docs.json", "/schema.json"})
_FOUND = 200


class Documents:
    """Keeps what an application answered for these paths, until another model is served.

    Args:
        app: Answers what is not kept.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        # Keeps no former model in memory.
        self._model: ref[LoadedModel] | None = None
        self._answers: dict[str, list[Message]] = {}

    async def answer(self, model: LoadedModel | None, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for a document, of the model that is served now."""
        if model is not (None if self._model is None else self._model()):
            self._model, self._answers = None if model is None else ref(model), {}
        answers, path = self._answers, str(scope["path"])
        if path not in answers:
            messages: list[Message] = []

            async def keep(message: Message) -> None:
                messages.append(message)

            await self._app(scope, receive, keep)
            if messages[0].get("status") != _FOUND:
                for message in messages:
                    await send(message)
                return
            answers[path] = messages
        for message in answers[path]:
            await send(dict(message))
