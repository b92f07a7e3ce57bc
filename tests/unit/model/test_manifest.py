"""The manifest: one digest a file, and the first file that is not as recorded is named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from passerelle.errors import TRAIN_AGAIN, IntegrityError
from passerelle.model.manifest import (
    check_manifest,
    digest_of_file,
    digest_of_manifest,
    digests_of_files,
    manifest_of,
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "data" / "deep").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / "data" / "model.skops").write_bytes(b"\x00\xff")
    (folder / "data" / "deep" / "empty").touch()
    (tmp_path / "golden.json").write_text("{}")
    return folder


def golden(model: Path) -> Path:
    return model.parent / "golden.json"


def sha256(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def test_every_file_is_listed_by_its_relative_path_and_no_folder_is(model: Path) -> None:
    expected = {
        "MLmodel": sha256(b"flavors: {}\n"),
        "data/model.skops": sha256(b"\x00\xff"),
        "data/deep/empty": sha256(b""),
    }
    assert digests_of_files(model) == expected
    assert digest_of_file(model / "MLmodel") == expected["MLmodel"]
    assert manifest_of(model, golden(model)) == {"schema": 1, "files": expected, "golden": sha256(b"{}")}


def test_the_digest_is_of_the_canonical_json_whatever_the_order() -> None:
    manifest = {"schema": 1, "files": {"b": "sha256:é", "a": "x"}, "golden": "g"}
    canonical = '{"files":{"a":"x","b":"sha256:é"},"golden":"g","schema":1}'
    assert digest_of_manifest(manifest) == sha256(canonical.encode())
    assert digest_of_manifest(dict(reversed(manifest.items()))) == digest_of_manifest(manifest)
    assert digest_of_manifest({"files": {"\ud800": "x"}}) != digest_of_manifest({"files": {"?": "x"}})


def test_a_model_as_it_was_recorded_passes(model: Path) -> None:
    manifest = json.loads(json.dumps(manifest_of(model, golden(model))))
    check_manifest(model, golden(model), manifest)
    check_manifest(model, golden(model), manifest, expected_digest=digest_of_manifest(manifest))


def edit(model: Path) -> None:
    (model / "data" / "model.skops").write_bytes(b"\x00\xfe")


def remove(model: Path) -> None:
    (model / "data" / "model.skops").unlink()


def add(model: Path) -> None:
    (model / "data" / "extra.pkl").touch()


def two(model: Path) -> None:
    edit(model)
    (model / "MLmodel").write_text("")


def predict_otherwise(model: Path) -> None:
    golden(model).write_text("[]")


def lose_golden(model: Path) -> None:
    golden(model).unlink()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (edit, "the model's file data/model.skops is not the one that was registered"),
        (remove, "the model's file data/model.skops is missing"),
        (add, "the model holds data/extra.pkl, which was not there at registration"),
        (two, "the model's file MLmodel is not the one that was registered"),
        (predict_otherwise, "the golden predictions are not those that were registered"),
        (lose_golden, "the manifest names no files, or the golden predictions cannot be read"),
    ],
)
def test_the_first_file_that_differs_is_named(model: Path, change: Callable[[Path], None], message: str) -> None:
    manifest = manifest_of(model, golden(model))
    change(model)
    with pytest.raises(IntegrityError) as refused:
        check_manifest(model, golden(model), manifest)
    assert (refused.value.message, refused.value.hint) == (message, TRAIN_AGAIN)


@pytest.mark.parametrize("manifest", [{}, {"files": None}, {"files": "abc"}, {"files": [1, 2]}])
def test_what_is_no_manifest_is_refused(model: Path, manifest: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError, match="names no files") as refused:
        check_manifest(model, golden(model), manifest)
    assert refused.value.hint == TRAIN_AGAIN


def test_another_manifest_than_the_registry_knows_is_refused_before_the_files_are_read(model: Path) -> None:
    manifest = manifest_of(model, golden(model))
    lose_golden(model)
    with pytest.raises(IntegrityError, match="the manifest is not the one that was recorded at registration") as refused:
        check_manifest(model, golden(model), manifest, expected_digest="sha256:other")
    assert refused.value.hint == TRAIN_AGAIN
