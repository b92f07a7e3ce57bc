"""A pinned service gets no address and no key of the registry; one that follows gets what reads MLflow, and nothing of S3."""

from __future__ import annotations

from pathlib import Path

import pytest

from passerelle.rollout.service_environment import doors_identity, follow_identity, log_identity, service_environment

GIVEN = {
    "PATH": "/bin",
    "PASSERELLE_AUTH": "off",
    "PASSERELLE_TRUSTED_TYPES": "sklearn",
    "MLFLOW_TRACKING_URI": "http://127.0.0.1:5000",
    "MLFLOW_TRACKING_USERNAME": "admin",
    "MLFLOW_TRACKING_PASSWORD": "hunter2",
    "MLFLOW_TRACKING_TOKEN": "token",
    "MLFLOW_TRACKING_SERVER_CERT_PATH": "ca.pem",
    "MLFLOW_S3_ENDPOINT_URL": "http://127.0.0.1:9000",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "hunter3",
    "PASSERELLE_S3_SECRET_ACCESS_KEY": "hunter4",
    "PASSERELLE_TRACKING_URI": "http://127.0.0.1:5001",
}
PINNED = {"PATH": "/bin", "PASSERELLE_AUTH": "off", "PASSERELLE_TRUSTED_TYPES": "sklearn"}


@pytest.mark.parametrize("follow", [{}, {"PASSERELLE_FOLLOW": ""}])
def test_a_pinned_service_gets_nothing_by_which_the_registry_is_reached(tmp_path: Path, follow: dict[str, str]) -> None:
    log = {"PASSERELLE_PREDICTION_LOG": f"{tmp_path}/predictions"}
    assert service_environment(GIVEN | follow, tmp_path) == PINNED | follow | log
    assert follow_identity(GIVEN | follow) == ""


def test_one_that_follows_gets_mlflow_and_a_folder_and_nothing_of_s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = GIVEN | {"PASSERELLE_FOLLOW": "production", "PASSERELLE_FOLLOW_WEBHOOK_SECRET_FILE": "secret"}
    assert service_environment(given, Path("state")) == PINNED | {
        "PASSERELLE_FOLLOW": "production",
        "PASSERELLE_PREDICTION_LOG": f"{tmp_path}/state/predictions",
        "PASSERELLE_FOLLOW_DIR": f"{tmp_path}/state/follow",
        "PASSERELLE_FOLLOW_WEBHOOK_SECRET_FILE": f"{tmp_path}/secret",
        "PASSERELLE_FOLLOW_CA_FILE": f"{tmp_path}/ca.pem",
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:5001",
        "MLFLOW_TRACKING_USERNAME": "admin",
        "MLFLOW_TRACKING_PASSWORD": "hunter2",
        "MLFLOW_TRACKING_TOKEN": "token",
        "MLFLOW_TRACKING_SERVER_CERT_PATH": "ca.pem",
    }
    given["PASSERELLE_FOLLOW_DIR"] = "models"
    assert service_environment(given, Path("state"))["PASSERELLE_FOLLOW_DIR"] == f"{tmp_path}/models"


def test_a_service_with_other_settings_of_following_is_another_one(tmp_path: Path) -> None:
    variables = service_environment(GIVEN | {"PASSERELLE_FOLLOW": "production"}, tmp_path)
    identity = follow_identity(variables)
    assert identity.startswith("#")
    assert "hunter2" not in identity
    assert follow_identity(dict(reversed(variables.items()))) == identity
    assert follow_identity(variables | {"PASSERELLE_AUTH": "required"}) == identity
    for name, value in (("PASSERELLE_FOLLOW", "staging"), ("MLFLOW_TRACKING_URI", "http://there"), ("PASSERELLE_FOLLOW_LEDGER", "off")):
        assert follow_identity(variables | {name: value}) != identity


@pytest.mark.parametrize(("given", "expected"), [({}, "state/predictions"), ({"PASSERELLE_PREDICTION_LOG": "log"}, "log")])
def test_a_service_records_its_answers_in_the_state_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    variables = service_environment(given | {"PASSERELLE_LOG_DIGEST_KEY_FILE": "key"}, Path("state"))
    assert variables == {"PASSERELLE_PREDICTION_LOG": f"{tmp_path}/{expected}", "PASSERELLE_LOG_DIGEST_KEY_FILE": f"{tmp_path}/key"}


def test_an_empty_folder_leaves_the_log_off(tmp_path: Path) -> None:
    assert service_environment({"PASSERELLE_PREDICTION_LOG": ""}, tmp_path)["PASSERELLE_PREDICTION_LOG"] == ""


def test_a_service_that_records_otherwise_is_another_one() -> None:
    assert log_identity({"PASSERELLE_AUTH": "off"}) == ""
    found = {log_identity({"PASSERELLE_LOG_TEXT": text}) for text in ("off", "redacted")}
    assert len(found | {log_identity({"PASSERELLE_PREDICTION_LOG": ""}), ""}) == 4


def test_a_service_that_answers_other_protocols_is_another_one() -> None:
    assert doors_identity({}) == doors_identity({"PASSERELLE_DOORS": ""}) == ""
    assert doors_identity({"PASSERELLE_DOORS": "v2,invocations"}) == doors_identity({"PASSERELLE_DOORS": "invocations,v2"}) != ""
