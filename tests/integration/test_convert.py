"""An adopted pickle becomes a version that runs no code when it is read, once it reproduces the golden predictions."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pytest
import skops.io
from click.testing import CliRunner
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FunctionTransformer, make_pipeline

from passerelle.cli.main import passerelle
from passerelle.environments.lock import Locked
from passerelle.errors import GoldenError, PasserelleError, UntrustedTypeError, UsageError
from passerelle.model.flavors.logged import LoggedFlavor
from passerelle.model.hosted import HostedModel
from passerelle.names import ADOPTION_RUN, ARTIFACT_DIGEST, CONVERTED_FROM, ModelVersionRef
from passerelle.registry.client import Registry
from passerelle.settings import SigningSettings, StoreSettings
from passerelle.stages import convert as stage
from passerelle.stages.convert import ConversionRequest, Converted, convert
from passerelle.stages.import_model import import_model
from passerelle.stages.trace import links_of
from tests.adopted_versions import adopted_version, logged_version
from tests.flavor_environment import flavor_python, is_complete
from tests.logged_models import NUMBERS, TWO

pytestmark = pytest.mark.integration

MODEL = LogisticRegression().fit(NUMBERS, TWO)
Adopt = Callable[[], ModelVersionRef]


@pytest.fixture
def logged(adopting: Registry, monkeypatch: pytest.MonkeyPatch) -> ModelVersionRef:
    """A version that is a pickle."""
    locked = Locked("# nothing\n", "3.11", {"scikit-learn": "1", "skops": "1"})
    monkeypatch.setattr(stage, "lock_for", lambda *_, **__: locked)
    return logged_version(adopting, MODEL, NUMBERS, serialization_format="cloudpickle")


@pytest.fixture
def adopt(adopting: Registry, logged: ModelVersionRef, monkeypatch: pytest.MonkeyPatch) -> Adopt:
    return lambda: adopted_version(adopting, logged, MODEL, monkeypatch)


def converted(registry: Registry, ref: ModelVersionRef, form: Any = "skops", **more: Any) -> Converted:
    return convert(registry, replace(ConversionRequest(ref.uri, form, SigningSettings(), "test@here"), **more))


def converted_by_command(address: str) -> dict[str, Any]:
    """Convert with the command, as a person types it."""
    done = CliRunner().invoke(passerelle, ["convert", address, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    assert "saving the model as skops" in done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_pickle_becomes_a_skops_version_that_the_other_commands_carry(
    adopting: Registry, adopt: Adopt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref, name = adopt(), adopting.settings.registered_model
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(stage, "written", killed)
        converted(adopting, ref)
    made = converted_by_command(ref.uri)
    again = converted(adopting, ref)
    assert (made["created"], made["golden_inputs"] >= 8, made["golden_difference"]) == (True, True, 0.0)
    assert again.ref is not None
    assert (again.created, again.ref.version, again.artifact_digest) == (False, made["ref"]["version"], made["artifact_digest"])
    assert len(adopting.versions(name)) == 2, "the interrupted one goes on"
    former, version = adopting.model_version(name, 1), adopting.model_version(name, 2)
    assert version.tags[CONVERTED_FROM] == f"version 1 as skops, {former.tags[ARTIFACT_DIGEST]}"
    assert version.tags[ADOPTION_RUN] == version.ref.run_id != former.ref.run_id
    # Without the policy's leave: no pickle is read any more.
    monkeypatch.setenv("PASSERELLE_ADOPTED_PICKLES", "refused")
    imported = import_model(adopting, StoreSettings(bentoml_home=tmp_path), ref=again.ref)
    assert imported.path is not None
    assert [path.name for path in (imported.path / "mlflow_model").glob("model.*")] == ["model.skops"]
    links = {link.name: (link.value, link.note) for link in links_of(adopting, version)}
    assert links["converted from"] == ("version 1 as skops", former.tags[ARTIFACT_DIGEST])
    plain = mlflow.pyfunc.load_model(f"models:/{name}/2")
    assert list(plain.predict(NUMBERS)) == MODEL.predict(NUMBERS).tolist(), "MLflow itself reads it"


def test_what_is_not_the_same_or_not_trusted_is_not_registered(adopting: Registry, adopt: Adopt, monkeypatch: pytest.MonkeyPatch) -> None:
    ref = adopt()

    def writing(model: Any) -> None:
        monkeypatch.setattr(HostedModel, "converted", lambda *_: skops.io.dumps(model))

    writing(make_pipeline(FunctionTransformer(doubled), MODEL))
    with pytest.raises(UntrustedTypeError, match=r"not trusted: tests\.integration\.test_convert\.doubled") as refused:
        converted(adopting, ref)
    assert (refused.value.hint or "").endswith(f"test_convert.doubled; passerelle convert {ref.uri}")
    writing(LogisticRegression().fit(NUMBERS, TWO[::-1]))
    with pytest.raises(GoldenError, match="does not give its golden predictions, and is not registered"):
        converted(adopting, ref)
    assert len(adopting.versions(ref.registered_model)) == 1


def unresolved(*_: object, **__: object) -> None:
    raise UsageError("no versions", hint="passerelle adopt models:/NAME/VERSION --override 'scipy==1'")


def doubled(table: Any) -> Any:
    return table * 2


def test_what_cannot_be_converted_is_refused_with_a_way_out(
    adopting: Registry, logged: ModelVersionRef, adopt: Adopt, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(message: str) -> str:
        with pytest.raises(PasserelleError, match=message) as error:
            converted(adopting, logged)
        return str(error.value.hint)

    assert refused("was not adopted") == f"passerelle adopt {logged.uri}"
    adopt()
    monkeypatch.setenv("PASSERELLE_ADOPTED_PICKLES", "refused")
    assert refused("allow signed ones") == "export PASSERELLE_ADOPTED_PICKLES=signed"
    with monkeypatch.context() as patch:
        patch.setenv("PASSERELLE_ADOPTED_PICKLES", "any")
        patch.setattr(stage, "lock_for", unresolved)
        adopted_otherwise, onnx = refused("no versions").splitlines()
    assert adopted_otherwise == f"passerelle adopt {logged.uri} --override 'scipy==1'; passerelle convert {logged.uri} --to skops"
    assert onnx == f"passerelle convert {logged.uri} --to onnx"
    monkeypatch.setattr(stage, "logged_flavor", lambda *_, **__: LoggedFlavor("sklearn", "scikit-learn", (), False, {}, ""))
    assert refused("is no pickle: there is nothing to convert").startswith("passerelle promote --model")
    monkeypatch.setattr(stage, "logged_flavor", lambda *_, **__: LoggedFlavor("python_function", "pyfunc", (), True, {}, ""))
    assert refused("is read by pyfunc, and runs code of its own") == "export PASSERELLE_ADOPTED_PICKLES=signed"
    assert len(adopting.versions(logged.registered_model)) == 1


@pytest.mark.flavors
def test_a_pickle_becomes_a_graph(adopting: Registry, adopt: Adopt, monkeypatch: pytest.MonkeyPatch) -> None:
    if not is_complete(flavor_python()):
        pytest.skip("the environment of the flavors is missing: .venv/bin/python -m tests.flavor_environment")
    ref = adopt()
    with pytest.raises(UsageError, match="cannot be saved as onnx: ModuleNotFoundError") as refused:
        converted(adopting, ref, "onnx")
    assert refused.value.hint == f"passerelle convert {ref.uri} --to skops"
    monkeypatch.setenv("PASSERELLE_MODEL_PYTHON", str(flavor_python()))
    tried = converted(adopting, ref, "onnx", dry_run=True)
    assert (tried.ref, tried.golden_inputs >= 8) == (None, True)
    assert tried.golden_difference == pytest.approx(0, abs=1e-6)
    assert len(adopting.versions(ref.registered_model)) == 1
