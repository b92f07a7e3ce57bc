"""A context is built from variables, once; two of them in one process do not mix."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path

import boto3
import mlflow
import pytest

from passerelle.errors import BusyError, OutsideError, SettingsError
from passerelle.platform.state import ProcessMark, RunningPlatform, remove_state, write_state
from passerelle.registry.client import Registry
from passerelle.settings import LoadingSettings, S3Settings
from passerelle.stages import env
from passerelle.stages.context import Context, context_of, stage

OURS = ("MLFLOW_", "AWS_", "PASSERELLE_", "BENTOML_")


def variables(name: str, folder: Path) -> dict[str, str]:
    return {
        "MLFLOW_TRACKING_URI": f"http://{name}.example.org",
        "MLFLOW_TRACKING_USERNAME": name,
        "MLFLOW_S3_ENDPOINT_URL": f"http://s3.{name}.example.org",
        "AWS_ACCESS_KEY_ID": name,
        "AWS_SECRET_ACCESS_KEY": f"secret-of-{name}",
        "PASSERELLE_REGISTERED_MODEL": f"model-of-{name}",
        "PASSERELLE_TRUSTED_TYPES": f"types.of.{name}",
        "PASSERELLE_STATE_DIR": str(folder / name),
    }


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Point this process at a third platform, which no context here is about."""
    for name in list(os.environ):
        if name.startswith(OURS):
            monkeypatch.delenv(name)
    for name, value in variables("elsewhere", Path("/nowhere")).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of-elsewhere")


def seen_by_mlflow(registry: Registry) -> Mapping[str, str | None]:
    """Return what MLflow's and boto3's own code finds within a call."""
    with registry.environment.calling(artifacts=True):
        session = boto3.DEFAULT_SESSION
        credentials = session.get_credentials() if session else None
        names = ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_S3_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN")
        return {"session": credentials.access_key if credentials else None, **{name: os.environ.get(name) for name in names}}


def test_two_contexts_in_one_process_do_not_mix(tmp_path: Path) -> None:
    before, session = dict(os.environ), boto3.DEFAULT_SESSION
    one, other = (context_of(variables(name, tmp_path)) for name in ("one", "other"))
    for context, name in ((one, "one"), (other, "other"), (one, "one")):
        assert context.mlflow.registered_model == f"model-of-{name}"
        assert context.store.bentoml_home == tmp_path / name / "bentoml"
        assert seen_by_mlflow(Registry(context.mlflow, context.s3, context.environment)) == {
            "session": name,
            "MLFLOW_TRACKING_URI": f"http://{name}.example.org",
            "MLFLOW_TRACKING_USERNAME": name,
            "MLFLOW_S3_ENDPOINT_URL": f"http://s3.{name}.example.org",
            "AWS_ACCESS_KEY_ID": name,
            "AWS_SESSION_TOKEN": None,
        }
    assert dict(os.environ) == before
    assert boto3.DEFAULT_SESSION is session


def test_a_training_leaves_the_server_of_plain_mlflow_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", None)
    context = context_of(variables("one", tmp_path))
    with Registry(context.mlflow, context.s3, context.environment).environment.calling(artifacts=True):
        assert mlflow.get_tracking_uri() == "http://one.example.org"
        mlflow.set_tracking_uri("http://one.example.org")
    assert mlflow.get_tracking_uri() == os.environ["MLFLOW_TRACKING_URI"] == "http://elsewhere.example.org"


def test_two_threads_do_not_see_the_servers_of_each_other(tmp_path: Path) -> None:
    contexts = [context_of(variables(name, tmp_path)) for name in ("one", "other")]
    wrong: list[object] = []

    def ask(context: Context) -> None:
        registry = Registry(context.mlflow, context.s3, context.environment)
        for _ in range(50):
            with registry.environment.calling():
                if os.environ["MLFLOW_TRACKING_URI"] != context.mlflow.tracking_uri:
                    wrong.append(context)

    threads = [threading.Thread(target=ask, args=(context,)) for context in contexts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_stage_reads_the_settings_of_its_context(tmp_path: Path) -> None:
    @stage
    def trusted(_: Context) -> tuple[str, str | None]:
        return LoadingSettings.read().trusted_types, S3Settings.read().access_key_id

    one, other = (context_of(variables(name, tmp_path)) for name in ("one", "other"))
    assert [trusted(context) for context in (one, other)] == [("types.of.one", "one"), ("types.of.other", "other")]
    assert LoadingSettings.read().trusted_types == "types.of.elsewhere"


def test_without_a_server_the_stages_that_need_none_still_run(tmp_path: Path) -> None:
    context = context_of({"PASSERELLE_STATE_DIR": str(tmp_path)})
    assert context.store.bentoml_home == tmp_path / "bentoml"
    with pytest.raises(OutsideError, match="no MLflow server is named") as refused:
        _ = context.registry
    assert "passerelle up" in (refused.value.hint or "")


def test_another_platform_takes_the_place_of_the_former_one(tmp_path: Path) -> None:
    context = context_of({**variables("one", tmp_path), "PASSERELLE_TRACKING_URI": "https://production.example.org"})
    moved = context.at({"MLFLOW_TRACKING_URI": "http://127.0.0.1:5001", "AWS_ACCESS_KEY_ID": "own"})
    assert (moved.mlflow.tracking_uri, moved.s3.access_key_id) == ("http://127.0.0.1:5001", "own")
    assert moved.mlflow.registered_model == "model-of-one"
    assert context.naming(registered_model="another").mlflow.registered_model == "another"


def test_a_variable_that_no_setting_knows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="PASSERELLE_REGISTRED_MODEL"):
        context_of({**variables("one", tmp_path), "PASSERELLE_REGISTRED_MODEL": "x"})


def test_a_secret_is_not_shown(tmp_path: Path) -> None:
    assert "secret-of-one" not in repr(context_of(variables("one", tmp_path)))


def test_a_platform_that_is_being_started_is_said_to_be(tmp_path: Path) -> None:
    """The state folder knows of it before its servers answer."""
    (tmp_path / "platform").mkdir()
    half = RunningPlatform("http://127.0.0.1:2", S3Settings.read({}), {}, ProcessMark.of(os.getpid()))
    write_state(tmp_path, half, {}, ready=False)
    context = context_of({"PASSERELLE_STATE_DIR": str(tmp_path)})
    with pytest.raises(BusyError, match=f"is starting \\(process {os.getpid()}\\), and does not answer yet"):
        assert context.mlflow
    notes: list[str] = []
    env.run(context, progress=notes.append)
    assert "is starting" in notes[0]
    remove_state(tmp_path)
    with pytest.raises(OutsideError, match="the embedded platform does not run"):
        assert context.mlflow
