"""Replicas are replaced in turn, the one that is down first; what cannot be put back is said."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from filelock import FileLock

from passerelle.errors import BusyError, IntegrityError, OutsideError
from passerelle.names import BentoTag
from passerelle.rollout import compose
from passerelle.rollout.release import Release
from passerelle.rollout.stack import Stack

RELEASE = Release(BentoTag("classification", "2-00000000"), "passerelle/classification:2-00000000", cast("Any", None), "2")


def running(place: int, image: str = "sha256:old") -> dict[str, Any]:
    labels = {"com.docker.compose.service": f"service-{place + 1}"}
    environment = ["PASSERELLE_WORKERS=2", "PASSERELLE_RATE_LIMIT="]
    return {"Image": image, "Config": {"Labels": labels, "Env": environment}, "HostConfig": {"Memory": 2**29, "NanoCpus": 1_500_000_000}}


class Engine:
    """Records what is started, and fails for the given replicas."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[str, str]] = []
        self.variables: list[Mapping[str, str]] = []
        self.fails: dict[tuple[str, str], BaseException | int] = {}
        monkeypatch.setattr(Stack, "compose", self.compose)
        monkeypatch.setattr(Stack, "containers", lambda _: {})
        monkeypatch.setattr(compose, "_replayed", lambda *_: None)
        monkeypatch.setattr(compose, "ask", lambda *_, **__: subprocess.CompletedProcess([], 0, "", ""))

    def compose(self, *arguments: str, variables: Mapping[str, str] | None = None, **_: object) -> subprocess.CompletedProcess[str]:
        call = (arguments[-1], (variables or {}).get("SERVICE_IMAGE", arguments[2]))
        self.calls.append(call)
        self.variables.append(variables or {})
        failure = self.fails.get(call, 0)
        if isinstance(failure, BaseException):
            raise failure
        return subprocess.CompletedProcess([], failure, "", "no such network")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    return Engine(monkeypatch)


def replace(former: list[dict[str, Any] | None]) -> None:
    compose._replace(Stack(Path("/nowhere")), "new", former, RELEASE, lambda _: None)


def test_the_one_that_is_down_comes_first(engine: Engine) -> None:
    replace([running(0), None])
    assert engine.calls == [("service-2", "new"), ("service-1", "new")]


def test_what_was_touched_comes_back_with_its_own_settings(engine: Engine) -> None:
    engine.fails["service-2", "new"] = 1
    with pytest.raises(OutsideError, match=r"(?s)service-2 does not get ready.*all is as it was before"):
        replace([running(0), running(1)])
    assert engine.calls[2:] == [("service-2", "sha256:old"), ("service-1", "sha256:old")]
    given = {name: value for name, value in engine.variables[-1].items() if value}
    assert given == {"SERVICE_IMAGE": "sha256:old", "SERVICE_MEMORY": str(2**29), "SERVICE_CPUS": "1.5", "SERVICE_WORKERS": "2"}
    assert engine.variables[-1]["PASSERELLE_FOLLOW"] == ""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("PASSERELLE_PREDICTION_LOG=", ""),
        ("PASSERELLE_RATE_LIMIT=", ""),
        ("PASSERELLE_PREDICTION_LOG=/var/lib/passerelle/predictions", "/var/lib/passerelle/predictions"),
    ],
    ids=["off", "before-there-was-one", "on"],
)
def test_a_log_that_was_off_is_off_when_a_replica_is_put_back(engine: Engine, before: str, after: str) -> None:
    former = running(0)
    former["Config"]["Env"] += [before, "PASSERELLE_LOG_COLUMN=", "PASSERELLE_LOG_TEXT=full", "PASSERELLE_LOG_TEXT_REASON="]
    engine.fails["service-1", "new"] = 1
    with pytest.raises(OutsideError, match="all is as it was before"):
        replace([former, running(1)])
    given = engine.variables[-1]
    assert given["SERVICE_PREDICTION_LOG"] == after, "compose.yaml switches it on where the variable is not there at all"
    assert (given["PASSERELLE_LOG_COLUMN"], given["PASSERELLE_LOG_TEXT"], given["PASSERELLE_LOG_TEXT_REASON"]) == ("", "full", "")


def test_a_replica_that_followed_follows_again_when_it_is_put_back(engine: Engine) -> None:
    before = running(0)
    assert before is not None
    before["Config"]["Env"] += ["PASSERELLE_FOLLOW=production", "PASSERELLE_FOLLOW_LEDGER=off", "PASSERELLE_FOLLOW_DIR=/var"]
    engine.fails["service-1", "new"] = 1
    with pytest.raises(OutsideError, match="all is as it was before"):
        replace([before, running(1)])
    given = {name: value for name, value in engine.variables[-1].items() if "FOLLOW" in name and value}
    assert given == {"PASSERELLE_FOLLOW": "production", "PASSERELLE_FOLLOW_LEDGER": "off"}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)])
def test_an_interruption_puts_all_back(engine: Engine, error: BaseException) -> None:
    engine.fails["service-2", "new"] = error
    with pytest.raises(type(error)):
        replace([running(0), None])
    assert engine.calls == [("service-2", "new"), ("service-2", "rm")]


def test_what_cannot_be_put_back_is_said(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.fails["service-1", "sha256:old"] = 1

    def differs(*_: object) -> None:
        raise IntegrityError("a golden input differs", hint="passerelle status")

    monkeypatch.setattr(compose, "_replayed", differs)
    with pytest.raises(IntegrityError) as found:
        replace([running(0), running(1)])
    assert "service-1 could not be put back to what it was: no such network" in found.value.message
    assert "as it was before" not in found.value.message
    engine.fails["service-1", "new"] = KeyboardInterrupt()
    with pytest.raises(OutsideError, match="was interrupted; service-1 could not be put back"):
        replace([running(0), running(1)])


def test_two_deployments_do_not_meet(tmp_path: Path) -> None:
    with FileLock(tmp_path / ".deploy.lock"), pytest.raises(BusyError, match="is under way"), compose._alone(Stack(tmp_path)):
        raise AssertionError
    with compose._alone(Stack(tmp_path)):
        pass
