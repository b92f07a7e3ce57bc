"""With a key, the running service answers only with a model that the key signed."""

from __future__ import annotations

import json
import time
from pathlib import Path

import httpx
import pytest

from passerelle.registry.sign import sign
from passerelle.settings import SigningSettings
from tests.service_fixtures import serve, write_store
from tests.signing_fixtures import make_keys

pytestmark = pytest.mark.e2e


def test_the_service_takes_the_signed_model_and_refuses_it_without_its_signature(tmp_path: Path) -> None:
    keys = make_keys(tmp_path, "ours")
    home = write_store(tmp_path / "bentoml")
    [manifest] = home.glob("models/*/*/manifest.json")
    run_id = json.loads((manifest.parent / "lineage.json").read_text())["run_id"]
    bundle = sign(json.loads(manifest.read_text()), SigningSettings.read(signing_key=keys.private), run_id=run_id)
    (manifest.parent / "manifest.sig").write_text(bundle or "")
    with serve(home, verify_key=str(keys.public)) as service:
        answer = httpx.post(f"{service.address}/classify", json={"text": "un grand merci"})
        assert (answer.status_code, answer.json()["label"]) == (200, "merci")
    (manifest.parent / "manifest.sig").unlink()
    with serve(home, health="/livez", verify_key=str(keys.public)) as service:
        deadline = time.monotonic() + 30
        while (said := httpx.get(f"{service.address}/readyz")).json().get("reason") == "loading" and time.monotonic() < deadline:
            time.sleep(0.1)
        assert (said.status_code, said.json()["reason"]) == (503, "model_refused")
        assert "is not signed, and a signature is required" in service.child.log_tail()
