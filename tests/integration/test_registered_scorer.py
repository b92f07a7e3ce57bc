"""The scorer that a model compiles to is registered with it: made at registration, vouched for by its manifest, and never made twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import Pipeline

from passerelle.criteria import Criteria
from passerelle.errors import IntegrityError
from passerelle.model.loaded import load_model
from passerelle.names import MANIFEST, MODEL_FOLDER, SCORER_FOLDER
from passerelle.registry.client import Registry
from passerelle.settings import StoreSettings
from passerelle.stages import authenticity
from passerelle.stages.import_model import import_model
from passerelle.stages.register import register
from tests.platform_fixtures import RegisteredForTests, logged
from tests.unit.serving.models import text_pipeline, text_table

pytestmark = pytest.mark.integration


@pytest.fixture
def run_id(registered: RegisteredForTests) -> str:
    return logged(registered, text_pipeline())


def scorer_in(registry: Registry, run_id: str, folder: Path) -> dict[str, bytes]:
    """Return the files of the scorer beside the model of the run, by name."""
    model = registry.download(registry.model_uri(run_id), folder)
    return {path.name: path.read_bytes() for path in sorted((model / SCORER_FOLDER).glob("*"))}


def test_it_comes_with_the_import_and_answers(registered: RegisteredForTests, run_id: str, tmp_path: Path) -> None:
    registry = registered.fresh()
    planned = register(registry, run_id=run_id, criteria=Criteria(), dry_run=True)
    assert scorer_in(registry, run_id, tmp_path / "planned") == {}
    made = register(registry, run_id=run_id, criteria=Criteria())
    assert made.artifact_digest == planned.artifact_digest
    assert (made.compiled, made.not_compiled) == (True, None)
    manifest = registry.read_json(run_id, MANIFEST)
    kept = scorer_in(registry, run_id, tmp_path / "kept")
    assert {f"{SCORER_FOLDER}/{name}" for name in kept} == {name for name in manifest["files"] if name.startswith(SCORER_FOLDER)}
    imported = import_model(registry, StoreSettings.read(bentoml_home=tmp_path / "bentoml"), ref=made.ref)
    assert imported.path is not None
    assert {path.name: path.read_bytes() for path in (imported.path / MODEL_FOLDER / SCORER_FOLDER).iterdir()} == kept
    loaded = load_model(imported.path)
    assert (loaded.scorer is not None, loaded.pipeline.is_loaded) == (True, False)


def test_what_cannot_be_compiled_is_registered_without_and_says_why(registered: RegisteredForTests, tmp_path: Path) -> None:
    texts, labels = text_table()
    pipeline = Pipeline([*text_pipeline().steps[:-1], ("forest", RandomForestClassifier(5, random_state=0))]).fit(texts, labels)
    run_id = logged(registered, pipeline)
    made = register(registered.fresh(), run_id=run_id, criteria=Criteria())
    assert (made.compiled, made.tags["passerelle.compiled"]) == (False, "false")
    assert "forest" in str(made.not_compiled)
    assert scorer_in(registered.registry, run_id, tmp_path / "kept") == {}


def test_a_second_registered_model_takes_it_as_it_is_or_not_at_all(
    registered: RegisteredForTests, run_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = register(registered.fresh(), run_id=run_id, criteria=Criteria())
    # Another machine may compile to other bits: what the first version vouches for must not change.
    monkeypatch.setattr(authenticity, "write_scorer", lambda *_: pytest.fail("compiled again"))
    second = register(registered.fresh(), run_id=run_id, criteria=Criteria())
    assert first.artifact_digest == second.artifact_digest
    changed = tmp_path / SCORER_FOLDER
    changed.mkdir()
    (changed / "scorer.json").write_text("{}")
    registered.registry.add_to_model(run_id, changed)
    with pytest.raises(IntegrityError, match="not those that were registered"):
        register(registered.fresh(), run_id=run_id, criteria=Criteria())


def test_what_somebody_put_in_its_place_is_not_registered(registered: RegisteredForTests, run_id: str, tmp_path: Path) -> None:
    registry = registered.fresh()
    planted = tmp_path / SCORER_FOLDER
    planted.mkdir()
    for name in ("scorer.json", "more.npy"):
        (planted / name).write_text('{"format": 1}')
    registry.add_to_model(run_id, planted)
    made = register(registry, run_id=run_id, criteria=Criteria())
    assert scorer_in(registry, run_id, tmp_path / "kept")["scorer.json"] != b'{"format": 1}'
    assert f"{SCORER_FOLDER}/more.npy" not in registry.read_json(run_id, MANIFEST)["files"]
    with pytest.raises(IntegrityError, match=r"more\.npy, which was not there at registration"):
        import_model(registry, StoreSettings.read(bentoml_home=tmp_path / "bentoml"), ref=made.ref)
