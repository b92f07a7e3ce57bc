"""BentoML's own clients and one that is generated from the OpenAPI file, against the live service."""

from __future__ import annotations

import asyncio

import pytest

from tests.service_fixtures import ServedModel

pytestmark = [pytest.mark.e2e, pytest.mark.integration]


def test_bentomls_client(served: ServedModel) -> None:
    import bentoml

    with bentoml.SyncHTTPClient(served.address) as client:
        print(client.classify(text="un grand merci"))
        print(client.classify_batch(records=[{"text": "un grand merci"}, {"text": "trottoir cassé"}]))
        try:
            client.classify(text="")
        except Exception as e:
            print(type(e), type(e).__mro__, e.args, vars(e))
        try:
            client.classify(text="a"*30000)
        except Exception as e:
            print(type(e), type(e).__mro__, e.args, vars(e))
        print(client.endpoints)
    async def go():
        async with bentoml.AsyncHTTPClient(served.address) as client:
            print(await client.classify(text="un grand merci"))
            print(await client.classify_batch(records=[{"text": "un grand merci"}, {"text": "trottoir cassé"}]))
            try:
                await client.classify(text="")
            except Exception as e:
                print(type(e), type(e).__mro__, e.args, vars(e))
    asyncio.run(go())
