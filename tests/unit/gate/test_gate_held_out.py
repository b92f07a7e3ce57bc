"""What the gate reads of a version: files that must be as they were registered, held-out rows, and what it learned from."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pytest

from passerelle.errors import TRAIN_AGAIN, IntegrityError, NotFoundError
from passerelle.gate.held_out import VersionFiles, download_version, held_out, train_hashes
from passerelle.model.manifest import digest_of_file, digest_of_manifest
from passerelle.names import ARTIFACT_DIGEST, GOLDEN, HELD_OUT, MANIFEST, TRAIN_HASHES
from passerelle.registry.client import Registry
from passerelle.registry.training_data import TRAINING
from tests.unit.gate.run_folders import LABELS, TEXTS, Folders, rows_of, two_versions
from tests.unit.registry.memory import ref


@pytest.fixture
def registry(tmp_path: Path) -> Folders:
    return two_versions(tmp_path / "runs")


def files(registry: Folders, version: int, folder: Path) -> VersionFiles:
    return download_version(cast("Registry", registry), ref(version), folder)


def test_the_files_of_a_version_are_those_of_its_registration(registry: Folders, tmp_path: Path) -> None:
    found = files(registry, 2, tmp_path / "there")
    training = registry.root / "training"
    assert (found.ref, found.training) == (ref(2), "training")
    assert found.recorded == {name: digest_of_file(training / name) for name in (HELD_OUT, TRAIN_HASHES)}
    assert sorted(path.name for path in found.folder.iterdir()) == ["MLmodel", "model.skops"]
    assert files(registry, 1, tmp_path / "other").training == ref(1).run_id


def test_a_version_from_before_there_were_digests_is_taken_as_it_is(registry: Folders, tmp_path: Path) -> None:
    registry.tags[2] = {}
    (registry.root / ref(2).run_id / "model" / "MLmodel").write_text("other")
    assert files(registry, 2, tmp_path / "there").recorded == {}


def test_a_manifest_without_the_training_records_nothing_of_it(registry: Folders, tmp_path: Path) -> None:
    path = registry.root / ref(2).run_id / MANIFEST
    manifest = {name: value for name, value in json.loads(path.read_text()).items() if name != TRAINING}
    path.write_text(json.dumps(manifest))
    registry.tags[2] = {ARTIFACT_DIGEST: digest_of_manifest(manifest)}
    assert files(registry, 2, tmp_path / "there").recorded == {}


@pytest.mark.parametrize("name", ["model/MLmodel", GOLDEN, MANIFEST])
def test_a_file_that_was_changed_since_is_named_with_its_version(registry: Folders, tmp_path: Path, name: str) -> None:
    path = registry.root / ref(2).run_id / name
    path.write_text("{}" if name == MANIFEST else "changed")
    with pytest.raises(IntegrityError) as refused:
        files(registry, 2, tmp_path / "there")
    assert refused.value.message.startswith(f"{ref(2)}: the ")
    assert refused.value.hint == TRAIN_AGAIN


def data(registry: Folders, tmp_path: Path) -> tuple[Registry, VersionFiles]:
    return cast("Registry", registry), files(registry, 2, tmp_path / "there")


def test_held_out_rows_are_read_as_they_were_recorded(registry: Folders, tmp_path: Path) -> None:
    of, found = data(registry, tmp_path)
    assert held_out(of, found, tmp_path)["label"].tolist() == LABELS
    assert train_hashes(of, found, tmp_path) == frozenset({"sha256:another"})
    rows_of(LABELS[::-1]).to_parquet(registry.root / "training" / HELD_OUT)
    with pytest.raises(IntegrityError) as refused:
        held_out(of, found, tmp_path)
    assert refused.value.message == f"{HELD_OUT} of the training training is not the one that {ref(2)} was registered with"
    assert refused.value.hint == TRAIN_AGAIN
    (registry.root / "training" / TRAIN_HASHES).write_text('{"rows": []}')
    with pytest.raises(IntegrityError, match=r"train_hashes\.json of the training training is not the one"):
        train_hashes(of, found, tmp_path)


def unrecorded(registry: Folders, tmp_path: Path) -> tuple[Registry, VersionFiles]:
    registry.tags[2] = {}
    return data(registry, tmp_path)


def test_without_held_out_rows_there_is_nothing_to_judge_by(registry: Folders, tmp_path: Path) -> None:
    of, found = unrecorded(registry, tmp_path)
    (registry.root / "training" / HELD_OUT).unlink()
    with pytest.raises(NotFoundError) as refused:
        held_out(of, found, tmp_path)
    assert refused.value.message == f"the training training of {ref(2)} holds no {HELD_OUT}: nothing to judge by"
    assert refused.value.hint == "passerelle train --again; passerelle register"
    (registry.root / "training" / TRAIN_HASHES).unlink()
    assert train_hashes(of, found, tmp_path) is None


@pytest.mark.parametrize("table", [pd.DataFrame({"text": TEXTS}), rows_of().head(0)])
def test_rows_without_labels_are_refused(registry: Folders, tmp_path: Path, table: pd.DataFrame) -> None:
    of, found = unrecorded(registry, tmp_path)
    table.to_parquet(registry.root / "training" / HELD_OUT)
    with pytest.raises(IntegrityError, match="holds no labelled rows") as refused:
        held_out(of, found, tmp_path)
    assert refused.value.hint == TRAIN_AGAIN


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"rows": "abc"}', '{"rows": [1]}', '{"rows": {"a": 1}}', '{"rows": null}'])
def test_what_cannot_be_read_is_told_without_a_word_of_it(registry: Folders, tmp_path: Path, content: str) -> None:
    of, found = unrecorded(registry, tmp_path)
    (registry.root / "training" / TRAIN_HASHES).write_text(content)
    (registry.root / "training" / HELD_OUT).write_text(content)
    readers: Mapping[str, Callable[..., Any]] = {TRAIN_HASHES: train_hashes, HELD_OUT: held_out}
    for name, read in readers.items():
        with pytest.raises(IntegrityError, match=rf"{name} of the training training cannot be read: \w+$") as refused:
            read(of, found, tmp_path)
        assert (refused.value.hint, refused.value.__cause__) == (TRAIN_AGAIN, None)


def test_train_hashes_may_be_none(registry: Folders, tmp_path: Path) -> None:
    of, found = unrecorded(registry, tmp_path)
    (registry.root / "training" / TRAIN_HASHES).write_text('{"rows": []}')
    assert train_hashes(of, found, tmp_path) == frozenset()
