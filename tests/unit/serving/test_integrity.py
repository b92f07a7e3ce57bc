"""A byte that changed in any file of a bento model is noticed, and whatever a file holds instead is refused, never an error of ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from passerelle.errors import IntegrityError, PasserelleError
from passerelle.model.loaded import load_model
from passerelle.model.manifest import digest_of_manifest, manifest_of
from passerelle.names import MODEL_FOLDER
from passerelle.serving.runtime import Runtime
from passerelle.settings import ServiceSettings
from tests.unit.serving.models import text_bento_model


@pytest.fixture
def bento_model(tmp_path: Path) -> Path:
    """As it lies in the store: named after its version and run, with what import told BentoML."""
    folder = text_bento_model(tmp_path / "7-00000000")
    lineage = json.loads((folder / "lineage.json").read_text())
    lineage["signature"], lineage["metrics"] = {"inputs": "[]", "params": None}, {"cv_macro_f1": 0.25, "nothing": float("nan")}
    metadata = {key: value if isinstance(value, str) or key == "metrics" else json.dumps(value) for key, value in lineage.items()}
    labels = {f"passerelle.{name}": lineage[name] for name in ("version", "run_id", "artifact_digest")}
    (folder / "model.yaml").write_text(yaml.safe_dump({"labels": labels, "metadata": metadata}))
    (folder / "lineage.json").write_text(json.dumps(lineage, ensure_ascii=False, indent=1))
    return folder


def test_one_flipped_byte_in_any_file_is_noticed(bento_model: Path) -> None:
    kept = [path for path in sorted(bento_model.rglob("*")) if path.is_file() and path.stat().st_size and path.name != "model.yaml"]
    assert {"lineage.json", "manifest.json", "golden.json", "MLmodel"} <= {path.name for path in kept}
    assert [path for path in kept if path.parent.name == "scorer"]
    for path in kept:
        whole = path.read_bytes()
        for place in {0, len(whole) // 2}:
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            with pytest.raises(IntegrityError):
                load_model(bento_model)
        path.write_bytes(whole)
    load_model(bento_model)


def test_each_flipped_byte_of_the_lineage_is_noticed(bento_model: Path) -> None:
    path = bento_model / "lineage.json"
    whole = path.read_bytes()
    load_model(bento_model)
    for place in range(0, len(whole), 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(IntegrityError):
            load_model(bento_model)


def rewritten(folder: Path, name: str, change: Callable[[Any], Any]) -> None:
    """Change a file and all that vouches for it."""
    path = folder / name
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    manifest = manifest_of(folder / MODEL_FOLDER, folder / "golden.json")
    lineage = json.loads((folder / "lineage.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "lineage.json").write_text(json.dumps(lineage | {"artifact_digest": digest_of_manifest(manifest)}))
    (folder / "model.yaml").unlink()


@pytest.mark.parametrize("tolerance", [float("nan"), -1, "wide", None])
def test_a_tolerance_that_is_none_is_refused(bento_model: Path, tolerance: object) -> None:
    rewritten(bento_model, "golden.json", lambda golden: golden | {"tolerance": tolerance})
    with pytest.raises(IntegrityError):
        load_model(bento_model)


def test_golden_predictions_do_not_choose_how_far_off_they_may_be(bento_model: Path) -> None:
    def changed(golden: dict[str, Any]) -> dict[str, Any]:
        golden["probabilities"][3][0] += 1e-5
        return golden | {"tolerance": 1.0}

    rewritten(bento_model, "golden.json", changed)
    with pytest.raises(IntegrityError, match="more than 1e-06"):
        load_model(bento_model)


@pytest.mark.parametrize("change", [lambda rows: rows[:-1], lambda rows: [row[:-1] for row in rows], lambda rows: [*rows[:-1], []]])
def test_too_few_golden_probabilities_are_refused(bento_model: Path, change: Callable[[Any], Any]) -> None:
    rewritten(bento_model, "golden.json", lambda golden: golden | {"probabilities": change(golden["probabilities"])})
    with pytest.raises(IntegrityError, match="number of probabilities"):
        load_model(bento_model)


@pytest.mark.parametrize("text", ["", "[]", "{}", "3", "null", '"a"', '{"files": 3}', "\ufffd", "[" * 20_000])
@pytest.mark.parametrize("name", ["lineage.json", "manifest.json", "golden.json", "model.yaml", f"{MODEL_FOLDER}/MLmodel"])
def test_whatever_a_file_holds_leaves_a_worker_that_lives(
    bento_model: Path, name: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (bento_model / name).write_text(text)
    runtime = Runtime.or_refused(bento_model, ServiceSettings.read(access_log=False))
    runtime.load_or_refuse()
    if name == "model.yaml" and text.startswith("{"):
        assert runtime.model is not None
        return
    assert runtime.readiness()["reason"] == "model_refused"
    assert capsys.readouterr().err.count("the model is refused") == 1


ODD: list[dict[str, object]] = [
    {"flavors": "sklearn"},
    {"flavors": {1: 2, "a": 3}},
    {"flavors": {"sklearn": {"serialization_format": "skops", "pickled_model": "a\0"}}},
    {"signature": "abc"},
    {"signature": {"inputs": '[{"name": "text", "type": ["string"]}]'}},
    {"signature": {"inputs": "[3]"}},
]


@pytest.mark.parametrize("change", ODD)
def test_an_mlmodel_file_that_means_nothing_is_refused(bento_model: Path, change: dict[str, object]) -> None:
    path = bento_model / MODEL_FOLDER / "MLmodel"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | change))
    settings = ServiceSettings.read(access_log=False)
    with pytest.raises(PasserelleError):
        Runtime(bento_model, settings)
    assert Runtime.or_refused(bento_model, settings).readiness()["reason"] == "model_refused"
