"""Asks a service with a client of another server, in that client's own environment, and prints what it got as JSON.

`python foreign_clients.py CLIENT ADDRESS MODEL`; it imports the client's packages alone.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from typing import Any

TEXTS = ["un grand merci", "trottoir cassé"]


def tritonclient(address: str, model: str) -> dict[str, Any]:
    """Ask with `tritonclient[http]`, by binary tensors and by JSON."""
    http, numpy = importlib.import_module("tritonclient.http"), importlib.import_module("numpy")
    client = http.InferenceServerClient(address.removeprefix("http://"))
    got: dict[str, Any] = {"ready": [client.is_server_live(), client.is_server_ready(), client.is_model_ready(model)]}
    got["ready"] += [client.is_model_ready(model, "7"), client.is_model_ready(model, "8"), client.is_model_ready(model.upper())]
    got["inputs"] = client.get_model_metadata(model)["inputs"]
    for binary in (True, False):
        tensor = http.InferInput("text", [len(TEXTS), 1], "BYTES")
        tensor.set_data_from_numpy(numpy.array([[text] for text in TEXTS], dtype=object), binary_data=binary)
        outputs = [http.InferRequestedOutput(name, binary_data=binary) for name in ("label", "probability")]
        answer = client.infer(model, [tensor], outputs=outputs, request_id="r1")
        got[f"binary {binary}"] = answer.as_numpy("label").tolist()
        got["probabilities"] = answer.as_numpy("probability").tolist()
    try:
        client.infer(model, [tensor], model_version="8")
    except http.InferenceServerException as refused:
        got["refused"] = [refused.status(), refused.message()]
    return got


def kserve(address: str, model: str) -> dict[str, Any]:
    """Ask with KServe's SDK, by version 2 and by version 1 of the protocol."""
    sdk = importlib.import_module("kserve")

    async def ask() -> dict[str, Any]:
        second, first = (sdk.InferenceRESTClient(sdk.RESTConfig(protocol=protocol)) for protocol in ("v2", "v1"))
        ready = [await second.is_server_live(address), await second.is_server_ready(address)]
        ready += [await second.is_model_ready(address, model), await first.is_model_ready(address, model)]
        tensor = sdk.InferInput("text", [len(TEXTS)], "BYTES", data=TEXTS)
        answer = await second.infer(address, sdk.InferRequest(model, [tensor]), model_name=model)
        older = await first.infer(address, {"instances": TEXTS}, model_name=model)
        return {"ready": ready, "v2": answer.outputs[0].data, "probabilities": answer.outputs[1].data, "v1": older["predictions"]}

    return asyncio.run(ask())


if __name__ == "__main__":
    sys.stdout.write(json.dumps({"tritonclient": tritonclient, "kserve": kserve}[sys.argv[1]](*sys.argv[2:])))
