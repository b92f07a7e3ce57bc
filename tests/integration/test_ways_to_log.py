"""Each way to log, with a really logged model on a real registry: served, or refused before promotion with a command that leads on."""

from __future__ import annotations

import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest

from passerelle.environments.lock import Locked
from passerelle.errors import PasserelleError
from passerelle.names import ADOPTION_RUN, ARTIFACT_DIGEST, GOLDEN_ORIGIN, TASK
from passerelle.platform.state import RunningPlatform
from passerelle.registry.client import Registry
from passerelle.settings import MlflowSettings, StoreSettings
from passerelle.stages import adopt as stage
from passerelle.stages.adopt import AdoptionRequest, adopt
from passerelle.stages.adopt_options import AdoptOptions
from passerelle.stages.import_model import import_model
from tests.flavor_environment import flavor_python, is_complete
from tests.forking_python import forking_python
from tests.logged_models import files_for
from tests.logged_places import address_of, logged_folder
from tests.saved_models import saved_models
from tests.text_environment import text_python
from tests.ways_to_log import FLAVORS, OF_TEXTS, SKLEARN, WAYS, line_of

pytestmark = pytest.mark.integration

#: The interpreter of each environment, what makes it, the script that saves its models, and what its models import.
ENVIRONMENTS: Mapping[str, tuple[Callable[[], Path], str, str, tuple[str, ...]]] = {
    SKLEARN: (lambda: Path(sys.executable), "", "", ("pandas", "sklearn.pipeline", "sklearn.ensemble", "skops.io", "mlflow.pyfunc")),
    FLAVORS: (
        flavor_python,
        "tests.flavor_environment",
        "flavor_models.py",
        ("pandas", "lightgbm", "xgboost", "catboost", "onnxruntime", "sklearn.pipeline", "skops.io", "mlflow.pyfunc"),
    ),
    OF_TEXTS: (text_python, "tests.text_environment", "text_models.py", ("pandas", "sentence_transformers", "mlflow.transformers")),
}
Open = Callable[[str], "tuple[Path, Path]"]


@pytest.fixture(scope="module")
def opened() -> Iterator[Open]:
    """One process an environment, which has its libraries already and forks for each model, and the models that it saved."""
    found: dict[str, tuple[Path, Path]] = {}
    with ExitStack() as stack:

        def open_environment(name: str) -> tuple[Path, Path]:
            if name not in found:
                python, made_by, script, modules = ENVIRONMENTS[name]
                if made_by and not is_complete(python()):
                    pytest.skip(f"the environment is missing: .venv/bin/python -m {made_by}")
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="p")))
                models = saved_models(python(), script) if script else folder
                found[name] = stack.enter_context(forking_python(python(), folder, *modules)), models
            return found[name]

        yield open_environment


@pytest.fixture
def models(environment: str, opened: Open, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What stands for the interpreter of the models' environment; returns the folder of the models that it saved."""
    interpreter, models = opened(environment)
    monkeypatch.setenv("PASSERELLE_MODEL_PYTHON", str(interpreter))
    return models


@pytest.fixture
def registry(platform: RunningPlatform, plain_environment: None, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A registered model that nobody used; no index is asked for what its models need."""
    monkeypatch.setenv("PASSERELLE_ADOPTED_PICKLES", "any")
    # Autolog starts a process of its own to see what a model imports.
    monkeypatch.setattr(mlflow.models, "infer_pip_requirements", lambda _uri, _flavor, fallback=None, **_: fallback)
    monkeypatch.setattr(stage, "lock_for", lambda *_, **__: Locked("# nothing\n", "3.11", {"scikit-learn": "1"}))
    mlflow.set_tracking_uri(platform.tracking_uri)
    mlflow.set_experiment("ways-to-log")
    settings = MlflowSettings.read(tracking_uri=platform.tracking_uri, registered_model=f"way-{uuid.uuid4().hex[:8]}")
    return Registry(settings, platform.s3)


@pytest.mark.flavors
@pytest.mark.parametrize(("environment", "name"), [(environment, name) for environment, ways in WAYS.items() for name in ways])
def test_each_way_is_served_or_refused_with_a_way_out(
    registry: Registry, models: Path, environment: str, name: str, *, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    row = WAYS[environment][name]
    # What held, for the log of the run: the table of docs/adopt.md.
    line = line_of(name, row)
    address = address_of(row.place, registry, (lambda: logged_folder(models / row.saved)) if row.saved else row.log)
    if row.refused:
        with pytest.raises(PasserelleError) as refused:
            adopt(registry, AdoptionRequest(address, AdoptOptions(**files_for(row.options, tmp_path))))
        assert row.refused in refused.value.message
        assert refused.value.hint, "a command leads on"
        assert not any(ARTIFACT_DIGEST in version.tags for version in registry.versions(registry.settings.registered_model))
        if row.mended is None:
            record_property("figure", line)
            return
        row = replace(row, options=row.mended, refused="")
    result = adopt(registry, AdoptionRequest(address, AdoptOptions(**files_for(row.options, tmp_path))))
    assert result.ref is not None
    record = result.adoption
    if WAYS[environment][name].mended is None:
        assert (record.task, record.input_form, record.golden_origin) == (row.task, row.form, row.origin)
    assert result.golden_inputs >= 8
    version = registry.model_version(result.ref.registered_model, result.ref.version)
    assert (version.tags[TASK], version.tags[GOLDEN_ORIGIN]) == (record.task, record.golden_origin)
    assert version.tags[ADOPTION_RUN] == version.ref.run_id != version.logged_by
    with registry.mlflow("the version") as client:
        shown = client.get_model_version(*version.ref.uri.removeprefix("models:/").split("/")).description or ""
    assert f"`{record.task}`" in shown and f"inputs from `{record.golden_origin}`" in shown and "has not judged it yet" in shown
    # Read and held to its golden predictions as a service reads it, from what the registry holds.
    imported = import_model(registry, StoreSettings(bentoml_home=tmp_path), ref=result.ref)
    assert imported.created
    record_property("figure", line)
