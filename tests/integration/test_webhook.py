"""A real MLflow that calls a real service: created once, replaced where it is stale, and verified byte for byte."""

from __future__ import annotations

import http.server
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Queue

import pytest

from passerelle.errors import OutsideError
from passerelle.platform.embedded import EmbeddedPlatform
from passerelle.platform.state import RunningPlatform
from passerelle.registry import webhooks as module
from passerelle.registry.client import Registry
from passerelle.registry.webhooks import keep_webhooks
from passerelle.serving.following.webhook import Event, Webhooks
from passerelle.settings import MlflowSettings

pytestmark = pytest.mark.integration
SECRET = "a-secret-of-thirty-two-characters"


@contextmanager
def receiver() -> Iterator[tuple[str, Queue[tuple[dict[bytes, bytes], bytes]]]]:
    """Yield the address of a server that takes deliveries, and what it took."""
    taken: Queue[tuple[dict[bytes, bytes], bytes]] = Queue()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            taken.put(({name.lower().encode(): value.encode() for name, value in self.headers.items()}, body))
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/follow/webhook", taken
        finally:
            server.shutdown()
            thread.join()


def registry_of(platform: RunningPlatform) -> Registry:
    settings = MlflowSettings.read(dict(platform.environment), registered_model=f"test-{uuid.uuid4().hex[:8]}")
    return Registry(settings, platform.s3, platform.environment)


def ours(registry: Registry, name: str) -> list[tuple[str, str]]:
    with registry.environment.calling():
        return [(each["url"], each["webhook_id"]) for each in module._listed(registry) if each["name"] == name]


def test_a_moved_alias_is_delivered_and_the_secret_outlives_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSERELLE_FOLLOW_WEBHOOK", "on")
    with receiver() as (url, taken):
        with EmbeddedPlatform(tmp_path) as platform:
            registry = registry_of(platform.running)
            name = registry.settings.registered_model
            check_that_the_stale_are_replaced(registry)
            assert keep_webhooks(registry, "passerelle-test", [url], SECRET) == 1
            client = registry._client
            client.create_registered_model(name)
            client.create_model_version(name, "s3://passerelle/mlflow/none")
        with EmbeddedPlatform(tmp_path) as platform:
            client = registry_of(platform.running)._client
            client.set_registered_model_alias(name, "production", "1")
            headers, body = taken.get(timeout=60)
    hooks = Webhooks(SECRET.encode())
    assert hooks.check(hooks.begin(headers), body) == Event("model_version_alias", "created")
    key = tmp_path / "platform" / "webhook_key"
    assert oct(key.stat().st_mode & 0o777) == "0o600"


def check_that_the_stale_are_replaced(registry: Registry) -> None:
    """Check that webhooks of this name follow the addresses, and that those of others are left alone."""
    name = f"passerelle-{uuid.uuid4().hex[:8]}"
    first, second, third = (f"http://127.0.0.1:9/{number}" for number in range(3))

    def keep(*urls: str, of: str = name) -> int:
        return keep_webhooks(registry, of, urls, SECRET)

    assert keep(third, of=f"{name}-of-others") == 1
    assert keep(first, second) == 2
    before = ours(registry, name)
    assert keep(first, second) == 0
    assert ours(registry, name) == before, "the second call changes nothing"
    assert keep(second, third) == 2
    assert sorted(url for url, _ in ours(registry, name)) == [second, third]
    assert {each for each in before if each[0] == second} <= set(ours(registry, name))
    assert keep() == 2
    assert ours(registry, name) == []
    assert [url for url, _ in ours(registry, f"{name}-of-others")] == [third]
    keep(of=f"{name}-of-others")


@pytest.mark.parametrize("urls", [("http://127.0.0.1:3000/follow/webhook",), ("https://127.0.0.1:3000/follow/webhook",)])
def test_where_webhooks_are_off_mlflow_refuses_this_machine_and_the_hint_says_how_to_switch_them_on(
    platform: RunningPlatform, urls: Sequence[str]
) -> None:
    registry = registry_of(platform)
    with pytest.raises(OutsideError, match=r"the webhook 'passerelle-off' in MLflow .*: INVALID_PARAMETER_VALUE") as found:
        keep_webhooks(registry, "passerelle-off", urls, SECRET)
    assert "export PASSERELLE_FOLLOW_WEBHOOK=on; passerelle up" in str(found.value.hint)
    assert ours(registry, "passerelle-off") == []
