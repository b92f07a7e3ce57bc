"""Import and build on the real store: checked, idempotent, and nothing half-made after a kill."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from passerelle.bentos.build import build
from passerelle.bentos.code import code_files
from passerelle.bentos.containerize import image_ref
from passerelle.bentos.engine import find_engine
from passerelle.bentos.store import Store, latest_bento, latest_bento_model
from passerelle.errors import IntegrityError, NotFoundError, OutsideError, UsageError
from passerelle.names import BentoTag
from passerelle.registry.client import Registry
from passerelle.rollout.local import Deployment
from passerelle.settings import StoreSettings
from passerelle.stages import deploy
from passerelle.stages.context import context_of
from passerelle.stages.first_request import first_request
from passerelle.stages.import_model import ImportedModel, import_model
from passerelle.stages.production_bento import build_production
from tests.platform_fixtures import RegisteredForTests, moved

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def store(tmp_path: Path) -> StoreSettings:
    return StoreSettings.read(bentoml_home=tmp_path / "bentoml")


@pytest.fixture
def promoted(registered: RegisteredForTests) -> Registry:
    registry = registered.fresh()
    moved(registry, registered.register(registry))
    return registry


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_version_is_imported_once_with_its_lineage(promoted: Registry, store: StoreSettings) -> None:
    planned = import_model(promoted, store, dry_run=True)
    assert (planned.created, latest_bento_model(store)) == (True, None)
    first = import_model(promoted, store)
    assert first.path is not None
    held = content(first.path)
    second = import_model(promoted, store)
    assert (first.created, second.created, second.path) == (True, False, first.path)
    assert content(first.path) == held
    assert {"golden.json", "manifest.json", "lineage.json", "mlflow_model/MLmodel", "mlflow_model/model.skops"} <= held.keys()
    model = Store(store).model(first.bento_model_tag)
    assert model is not None
    assert model.info.labels["passerelle.version"] == "1"
    assert model.info.labels["passerelle.artifact_digest"] == first.artifact_digest
    assert str(first.bento_model_tag).endswith(f":1-{first.ref.run_id[:8]}")
    assert (first.path / "mlflow_model" / "MLmodel").stat().st_mode & 0o444 == 0o444


def test_an_artifact_that_was_changed_is_not_imported(promoted: Registry, store: StoreSettings) -> None:
    ref = promoted.resolve(promoted.settings.registered_model, "production")
    keys = [key for key in promoted.objects.keys("mlflow/") if key.endswith("requirements.txt")]
    whole = {key: promoted.objects.read(key)[0] for key in keys}
    try:
        for key, held in whole.items():
            promoted.objects.delete(key)
            promoted.objects.create(key, held + b"os-command==1\n")
        with pytest.raises(IntegrityError, match=r"requirements\.txt is not the one that was registered"):
            import_model(promoted, store, ref=ref)
    finally:
        for key, held in whole.items():
            promoted.objects.delete(key)
            promoted.objects.create(key, held)
    assert latest_bento_model(store) is None
    assert import_model(promoted, store).created


def test_an_alias_without_a_version_and_a_deleted_version_are_named(registered: RegisteredForTests, store: StoreSettings) -> None:
    registry = registered.fresh()
    registered.register(registry)
    with pytest.raises(NotFoundError, match="alias 'production'"):
        import_model(registry, store)
    ref = registered.register(registry)
    registry._client.delete_model_version(ref.registered_model, str(ref.version))
    with pytest.raises(NotFoundError, match="version 1"):
        import_model(registry, store, ref=ref)


def test_a_full_disk_leaves_the_store_as_it_was(promoted: Registry, store: StoreSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OutsideError, match=r"disk .* is full"):
        patch.setattr(shutil, "copytree", full)
        import_model(promoted, store)
    assert latest_bento_model(store) is None
    assert import_model(promoted, store).created


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_disk_that_is_really_full(promoted: Registry, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(small)], capture_output=True, check=False)
    assert mounted.returncode == 0, mounted.stderr
    try:
        with pytest.raises(OutsideError):
            import_model(promoted, StoreSettings.read(bentoml_home=small / "bentoml"))
        assert [path for path in small.rglob("*") if path.name == "MLmodel"] == []
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_of_two_imports_at_once_one_does_it(promoted: Registry, store: StoreSettings) -> None:
    results: list[ImportedModel] = []
    both = [threading.Thread(target=lambda: results.append(import_model(promoted, store))) for _ in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert sorted(result.created for result in results) == [False, True]


KILLED = """
import os, signal, shutil, sys
from passerelle.bentos import bento_model, store as stores
from passerelle.stages import import_model as stage
from passerelle.registry.client import Registry
from passerelle.settings import MlflowSettings, S3Settings, StoreSettings
point = sys.argv[1]
def die(*a, **k):
    os.kill(os.getpid(), signal.SIGKILL)
if point == "download": Registry.read_json = die
elif point == "copied": bento_model.readable_by_others = die
elif point == "published": stores.Path.replace = die
stage.import_model(Registry(MlflowSettings.read(), S3Settings.read()), StoreSettings.read())
"""


@pytest.mark.parametrize("point", ["download", "copied", "published"])
def test_a_killed_import_leaves_nothing_half_made(promoted: Registry, store: StoreSettings, point: str, plain_environment: None) -> None:
    environment = dict(os.environ) | {
        "BENTOML_HOME": str(store.bentoml_home),
        "PASSERELLE_REGISTERED_MODEL": promoted.settings.registered_model,
    }
    command = [sys.executable, "-c", KILLED, point]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    listed = subprocess.run(
        [sys.executable, "-m", "bentoml", "models", "list", "-o", "json"], env=environment, capture_output=True, text=True, check=True
    )
    # Killed after the move, the model is whole; killed before, there is none.
    assert (promoted.settings.registered_model in listed.stdout) == (point == "published")
    again = import_model(promoted, store)
    assert again.created == (point != "published")
    assert not list((store.bentoml_home or Path()).glob(".passerelle-staging"))
    assert again.path is not None
    assert (again.path / "lineage.json").exists()


def test_a_bento_pins_one_model_and_holds_only_what_it_needs(promoted: Registry, store: StoreSettings, tmp_path: Path) -> None:
    project = tmp_path / "project"
    for name, path in code_files(ROOT).items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, project / name)
    for stray in ("tests/test_a.py", "training/a.py", ".env", ".passerelle/platform/s3-keys.json", "src/passerelle/cli/main.py"):
        (project / stray).parent.mkdir(parents=True, exist_ok=True)
        (project / stray).write_text("secret = 1")
    tag = import_model(promoted, store).bento_model_tag
    assert build(store, bento_model_tag=tag, project=project, dry_run=True).created
    first = build(store, bento_model_tag=tag, project=project)
    second = build(store, bento_model_tag=tag, project=project)
    assert (first.created, second.created, first.bento_tag) == (True, False, tag)
    assert latest_bento(store) == tag
    assert first.path is not None
    bento = yaml.safe_load((first.path / "bento.yaml").read_text())
    assert [model["tag"] for model in bento["services"][0]["models"]] == [str(tag)]
    assert bento["args"] == {"model": str(tag)}
    assert bento["labels"]["passerelle.version"] == "1"
    code = {path for path in content(first.path / "src") if path.endswith((".py", ".json", ".env")) or "/" not in path}
    assert {path.split("/")[2] for path in code if path.startswith("src/passerelle/")} == {
        "__init__.py", "cluster_settings.py", "errors.py", "follow_settings.py", "log_settings.py", "retention_settings.py", "names.py",
        "settings.py", "secret_variables.py", "api_keys.py", "regular_file.py", "port_holder.py", "bentos", "scorer", "model", "serving",
        "monitoring",
    }  # fmt: skip
    assert not any(path.startswith("src/passerelle/monitoring/drift/") for path in code), "the service looks at no drift"
    bentos = {Path(path).name for path in code if path.startswith("src/passerelle/bentos/")}
    assert bentos == {"__init__.py", "code.py", "service_image.py"}, "only what service.py imports"
    assert {path for path in code if not path.startswith("src/passerelle/")} <= {"service.py", "bentofile.yaml"}
    assert "--hash=sha256:" in (first.path / "env" / "python" / "requirements.txt").read_text()
    (project / "src" / "passerelle" / "names.py").write_text((project / "src" / "passerelle" / "names.py").read_text() + "\n# changed\n")
    third = build(store, bento_model_tag=tag, project=project)
    assert (third.created, third.replaced, third.bento_tag) == (True, True, tag)


def test_what_cannot_be_built_is_said(store: StoreSettings, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no model nobody:1-aaaa1111"):
        build(store, bento_model_tag=BentoTag.parse("nobody:1-aaaa1111"), project=ROOT)
    with pytest.raises(UsageError, match="holds no bentofile"):
        build(store, bento_model_tag=BentoTag.parse("nobody:1-aaaa1111"), project=tmp_path)


def test_the_image_needs_a_name_and_an_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert str(image_ref("registry.example:5000/team/app:1")) == "registry.example:5000/team/app:1"
    for name in ("app", "app:latest", "registry.example:5000/app"):
        with pytest.raises(UsageError):
            image_ref(name)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OutsideError, match="no container engine is installed"):
        find_engine()
    for said, message in (("permission denied", "may not talk"), ("Cannot connect", "does not answer")):
        (tmp_path / "docker").write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n")
        (tmp_path / "docker").chmod(0o755)
        with pytest.raises(OutsideError, match=message):
            find_engine()


@pytest.mark.timing
def test_the_lock_is_waited_for_and_not_forever(store: StoreSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("passerelle.bentos.store._LOCK_TIMEOUT_S", 0.3)
    began = time.monotonic()
    with Store(store).staging(), pytest.raises(OutsideError, match="another import or build"), Store(store).staging():
        pass
    assert time.monotonic() - began < 3


def test_deploy_builds_what_is_in_production_where_the_store_lacks_it(
    registered: RegisteredForTests, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    registry = registered.named(monkeypatch, tmp_path)
    context, said = context_of(os.environ), list[str]()
    assert build_production(context, ROOT, dry_run=False, progress=said.append) is None, "nothing is in production"
    ref = registered.register(registry)
    moved(registry, ref)
    planned = deploy.run(context, project=ROOT, dry_run=True, progress=said.append)
    assert isinstance(planned, Deployment)
    assert (planned.bento_tag, planned.dry_run, latest_bento(context.store)) == (ref.bento_model_tag, True, None)
    assert build_production(context, ROOT, dry_run=False, progress=said.append) == latest_bento(context.store) == ref.bento_model_tag
    assert [line.split(" ")[0] for line in said] == ["would", str(ref.bento_model_tag)]
    assert build_production(context, ROOT, dry_run=False, progress=said.append) is None, "it is there"
    command = first_request(context.store, ref.bento_model_tag, "http://127.0.0.1:1", keys=tmp_path / "keys.json")
    assert command == """curl http://127.0.0.1:1/classify --json '{"text": "Aucune réponse depuis trois mois"}'"""
