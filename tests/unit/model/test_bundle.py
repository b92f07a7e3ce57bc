"""The bundle of a version: the files that a service needs, to the byte, and the same archive each time."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from passerelle.errors import UsageError
from passerelle.model.bundle import write_bundle
from passerelle.model.manifest import check_manifest, digest_of_manifest, manifest_of
from passerelle.model.mlmodel import ModelDescription
from passerelle.names import BUNDLE, ledger_artifact

DESCRIPTION = ModelDescription("model.skops", (), {}, {}, None)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "scorer").mkdir(parents=True)
    for name, content in {
        "MLmodel": b"flavors: {}",
        "model.skops": b"\x00" * 600,
        "scorer/scorer.json": b"{}",
        "scorer/b.npy": b"b",
    }.items():
        (folder / name).write_bytes(content)
    (tmp_path / "golden.json").write_text('{"labels": ["\u00e9"]}', encoding="utf-8")
    return folder


def bundle(model: Path, signature: str | None = None, target: str = "bundle.tar") -> tuple[Path, dict[str, Any]]:
    golden, path = model.parent / "golden.json", model.parent / target
    manifest = manifest_of(model, golden)
    write_bundle(path, model, golden=golden, manifest=manifest, signature=signature, description=DESCRIPTION)
    return path, manifest


def names(path: Path) -> list[str]:
    with tarfile.open(path) as archive:
        return archive.getnames()


def test_a_compiled_model_goes_without_its_pipeline(model: Path) -> None:
    path, _ = bundle(model, "signature")
    expected = [
        "manifest.json",
        "manifest.sig",
        "golden.json",
        "mlflow_model/MLmodel",
        "mlflow_model/scorer/b.npy",
        "mlflow_model/scorer/scorer.json",
    ]
    assert names(path) == expected


def test_any_other_model_goes_with_all_its_files(model: Path) -> None:
    (model / "scorer" / "scorer.json").unlink()
    path, _ = bundle(model)
    assert names(path) == ["manifest.json", "golden.json", "mlflow_model/MLmodel", "mlflow_model/model.skops", "mlflow_model/scorer/b.npy"]


def test_extracted_it_is_the_directory_of_a_bento_model(model: Path) -> None:
    path, manifest = bundle(model, "sign\u00e9")
    place = model.parent / "extracted"
    with tarfile.open(path) as archive:
        archive.extractall(place, filter="data")
    assert digest_of_manifest(json.loads((place / "manifest.json").read_bytes())) == digest_of_manifest(manifest)
    assert (place / "manifest.sig").read_text(encoding="utf-8") == "sign\u00e9"
    (place / "mlflow_model" / "model.skops").write_bytes((model / "model.skops").read_bytes())
    check_manifest(place / "mlflow_model", place / "golden.json", manifest)


def test_the_same_files_give_the_same_bytes_whoever_writes_them_and_when(model: Path) -> None:
    first, manifest = bundle(model)
    for file in model.rglob("*"):
        os.utime(file, (1, 1))
        file.chmod(0o700)
    again = model.parent / "again.tar"
    turned = dict(reversed(manifest.items()))
    write_bundle(again, model, golden=model.parent / "golden.json", manifest=turned, signature=None, description=DESCRIPTION)
    assert first.read_bytes() == again.read_bytes()
    with tarfile.open(first) as archive:
        assert {(each.mode, each.uid, each.gid, each.uname, each.gname, each.mtime, each.type) for each in archive} == {
            (0o644, 0, 0, "", "", 0, tarfile.REGTYPE)
        }
    # Plain ustar: no header of a later format in front of a file.
    assert first.read_bytes()[257:265] == b"ustar\x0000"
    assert hashlib.sha256(first.read_bytes()).hexdigest() == "ec3821ef9e4a84035f59eda356702da2f40c675ac7d9bc7cee2372e3179fe2f1"


def test_a_path_that_no_tar_holds_is_named(model: Path) -> None:
    folder = model / "code" / ("d" * 120)
    folder.mkdir(parents=True)
    (folder / ("f" * 120)).touch()
    with pytest.raises(UsageError, match=r"the path mlflow_model/code/d+/f+ of the model is too long for its bundle"):
        bundle(model)


def test_where_the_artifacts_of_a_run_lie() -> None:
    assert (BUNDLE, ledger_artifact(7), ledger_artifact(1_234_567)) == (
        "passerelle/bundle.tar",
        "passerelle/ledger/000007.jsonl",
        "passerelle/ledger/1234567.jsonl",
    )


def test_a_file_that_no_archive_takes_is_named_before_it_is_read(model: Path) -> None:
    golden = model.parent / "golden.json"
    manifest = manifest_of(model, golden)
    os.truncate(model / "MLmodel", 8 << 30)  # of holes
    with pytest.raises(UsageError, match="the file mlflow_model/MLmodel of the model has 8 GiB, and a bundle"):
        write_bundle(model.parent / "bundle.tar", model, golden=golden, manifest=manifest, signature=None, description=DESCRIPTION)
