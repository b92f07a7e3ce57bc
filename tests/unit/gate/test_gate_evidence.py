"""What the gate judges by: the rows that count, the files that must be as they were registered, and what a model may say of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from passerelle.errors import TRAIN_AGAIN, IntegrityError, NotFoundError
from passerelle.gate import evidence as module
from passerelle.gate.evidence import Evidence, gather
from passerelle.gate.held_out import VersionFiles, download_version, held_out, train_hashes
from passerelle.gate.latency import Latency
from passerelle.gate.row_hashes import row_hashes
from passerelle.model.manifest import digest_of_file, digest_of_manifest, manifest_of
from passerelle.model.record import Column
from passerelle.names import ARTIFACT_DIGEST, GOLDEN, HELD_OUT, MANIFEST, TRAIN_HASHES, ModelVersionRef
from passerelle.registry.client import CandidateRun, Registry, VersionInfo
from passerelle.registry.training_data import TRAINING
from tests.unit.registry.memory import ref

ROWS = 12
TEXTS = [f"trottoir {place}" for place in range(ROWS)]
LABELS = ["voirie", "délai"] * (ROWS // 2)


class Pipeline:
    """Says the label that the place of the text tells, with a probability of 0.8."""

    classes_ = np.array(["délai", "voirie"])

    def __init__(self, wrong: int = 0) -> None:
        self._wrong = wrong

    def predict(self, table: Any) -> Any:
        places = [int(text.split()[-1]) for text in table["text"]]
        return np.array(["délai" if (place % 2 == 1) != (place < self._wrong) else "voirie" for place in places])

    def predict_proba(self, table: Any) -> Any:
        return np.where(self.predict(table)[:, None] == self.classes_, 0.8, 0.2)


class Folders:
    """A registry whose runs are folders: `RUN/model`, `RUN/data`, `RUN/golden.json`, `RUN/passerelle/manifest.json`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tags: dict[int, dict[str, str]] = {}
        self.parents: dict[str, str] = {}

    def add(self, version: int, *, learned: list[str] | None, rows: pd.DataFrame | None, parent: str | None = None) -> None:
        run = self.root / ref(version).run_id
        (run / "model").mkdir(parents=True)
        (run / "model" / "model.skops").write_bytes(b"x" * 900)
        (run / "model" / "MLmodel").write_bytes(b"y" * 100)
        (run / GOLDEN).write_text("{}")
        training = self.root / (parent or ref(version).run_id)
        (training / "data").mkdir(parents=True, exist_ok=True)
        if rows is not None:
            rows.to_parquet(training / HELD_OUT)
        if learned is not None:
            (training / TRAIN_HASHES).write_text(json.dumps({"rows": learned}))
        if parent:
            self.parents[ref(version).run_id] = parent
        self.register(version, training)

    def register(self, version: int, training: Path) -> None:
        run = self.root / ref(version).run_id
        digests = {name: digest_of_file(training / name) for name in (HELD_OUT, TRAIN_HASHES) if (training / name).exists()}
        manifest = manifest_of(run / "model", run / GOLDEN) | {TRAINING: digests}
        (run / MANIFEST).parent.mkdir(exist_ok=True)
        (run / MANIFEST).write_text(json.dumps(manifest))
        self.tags[version] = {ARTIFACT_DIGEST: digest_of_manifest(manifest)}

    def model_version(self, registered_model: str, version: int) -> VersionInfo:
        return VersionInfo(ModelVersionRef(registered_model, version, ref(version).run_id), self.tags[version], "None", "", 0)

    def run(self, run_id: str) -> CandidateRun:
        parent = self.parents.get(run_id)
        return CandidateRun(run_id, f"candidate {run_id[0]}", {}, {"mlflow.parentRunId": parent} if parent else {}, "FINISHED")

    def read_json(self, run_id: str, path: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.root / run_id / path).read_text())
        return found

    def run_artifact(self, run_id: str, path: str, folder: Path) -> Path:
        if not (self.root / run_id / path).exists():
            raise NotFoundError(f"{path} does not exist")
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(self.root / run_id / path, folder / path))

    def download_model(self, of: ModelVersionRef, folder: Path) -> Path:
        return Path(shutil.copytree(self.root / of.run_id / "model", folder))


@dataclass
class Models:
    """What `gather` loads: by version, and what it was asked with."""

    pipelines: dict[str, Any] = field(default_factory=lambda: {"1": Pipeline(wrong=3), "2": Pipeline()})
    columns: dict[str, tuple[Column, ...]] = field(default_factory=dict)
    timed: list[int] = field(default_factory=list)
    rss: list[int] = field(default_factory=lambda: [0, 3 * 2**20])


def rows_of(labels: list[str] | None = None, **more: Any) -> pd.DataFrame:
    return pd.DataFrame({"text": TEXTS, "label": labels or LABELS} | more)


def hashes(*places: int) -> list[str]:
    return row_hashes(pd.DataFrame({"text": [TEXTS[place] for place in places]})) if places else []


@pytest.fixture
def registry(tmp_path: Path) -> Folders:
    found = Folders(tmp_path / "runs")
    found.add(1, learned=["sha256:other"], rows=None)
    found.add(2, learned=["sha256:another"], rows=rows_of(group=list(range(ROWS))), parent="training")
    return found


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Models:
    found = Models()

    def version(folder: Path) -> str:
        return {"champion": "1", "challenger": "2"}[folder.parent.name]

    def described(folder: Path) -> Any:
        columns = found.columns.get(version(folder), (Column("text", "string"),))
        names = [column.name for column in columns]
        return SimpleNamespace(columns=columns, column_names=names, flavor="sklearn", libraries={"numpy": version(folder)})

    def timed(_: Any, table: pd.DataFrame, *, flavor: str) -> Latency:
        assert flavor == "sklearn"
        found.timed.append(len(table))
        return Latency(1.0, 2.5)

    def process() -> Any:
        sizes = iter(found.rss)
        return SimpleNamespace(memory_info=lambda: SimpleNamespace(rss=next(sizes)))

    monkeypatch.setattr(module, "describe", described)
    monkeypatch.setattr(module, "load_pipeline", lambda folder, _: found.pipelines[version(folder)])
    monkeypatch.setattr(module, "latency", timed)
    monkeypatch.setattr("passerelle.gate.evidence.psutil.Process", process)
    return found


def gathered(registry: Folders, champion: int | None = 1, *, least: int = 1) -> Evidence:
    of = None if champion is None else ref(champion)
    return gather(cast("Registry", registry), ref(2), of, serving={"numpy": "2"}, least_rows=least)


def learned(registry: Folders, version: int, rows: list[str] | None) -> None:
    """Let a version have learned from these rows, and have been registered so."""
    training = registry.root / registry.parents.get(ref(version).run_id, ref(version).run_id)
    if rows is None:
        (training / TRAIN_HASHES).unlink()
    else:
        (training / TRAIN_HASHES).write_text(json.dumps({"rows": rows}))
    registry.register(version, training)


def test_both_are_scored_on_the_challengers_held_out_rows(registry: Folders, models: Models) -> None:
    found = gathered(registry)
    assert (found.registered_model, found.serving) == (ref(2).registered_model, {"numpy": "2"})
    assert list(found.records.columns) == ["text"], "neither the label nor the group is shown to a model"
    assert found.records["text"].tolist() == TEXTS
    assert (found.held_out, found.leaked) == (ROWS, 0)
    assert (found.champion_version, found.champion_says, found.champion_columns) == (1, True, (Column("text", "string"),))
    ours, theirs = found.challenger, found.champion
    assert theirs is not None
    assert (ours.version, ours.candidate, ours.libraries, ours.columns) == (2, "candidate 2", {"numpy": "2"}, (Column("text", "string"),))
    assert (theirs.version, theirs.candidate, theirs.libraries) == (1, "candidate 1", {"numpy": "1"})
    assert (ours.train_hashes, theirs.train_hashes) == (frozenset({"sha256:another"}), frozenset({"sha256:other"}))
    assert ours.scores.truth.tolist() == theirs.scores.truth.tolist() == LABELS
    assert (ours.figures["accuracy"], theirs.figures["accuracy"]) == (1.0, 0.75)
    assert ours.scores.classes == ("délai", "voirie")
    assert (ours.figures["size_bytes"], ours.figures["latency_p95_ms"], ours.figures["memory_mib"]) == (1_000.0, 2.5, 3.0)
    assert ours.scores.probabilities is not None
    assert ours.scores.probabilities[0].tolist() == [0.2, 0.8]
    assert models.timed == [ROWS, ROWS]


def test_without_a_champion_there_is_none(registry: Folders, models: Models) -> None:
    found = gathered(registry, None)
    assert (found.champion, found.champion_columns, found.champion_version, found.champion_says) == (None, None, None, True)
    assert len(found.records) == ROWS


def test_rows_that_the_challenger_learned_from_are_counted_and_left_out(registry: Folders, models: Models) -> None:
    learned(registry, 2, hashes(0, 1, 2, 3, 4, 5, 6, 7, 8))
    found = gathered(registry)
    assert (found.leaked, found.held_out) == (9, ROWS)
    assert found.records["text"].tolist() == TEXTS[9:]
    assert found.records.index.tolist() == [0, 1, 2]
    assert found.challenger.scores.truth.tolist() == LABELS[9:]


def test_where_every_row_leaked_all_are_judged_by(registry: Folders, models: Models) -> None:
    learned(registry, 2, hashes(*range(ROWS)))
    found = gathered(registry)
    assert (found.leaked, len(found.records)) == (ROWS, ROWS)


@pytest.mark.parametrize(
    ("known", "least", "left"),
    [(5, 1, 7), (6, 1, 6), (7, 1, 12), (5, 7, 7), (5, 8, 12), (6, 6, 6)],
)
def test_rows_that_the_champion_learned_from_are_left_out_where_enough_remain(
    registry: Folders, models: Models, known: int, least: int, left: int
) -> None:
    learned(registry, 1, hashes(*range(known)))
    found = gathered(registry, least=least)
    assert (len(found.records), found.leaked) == (left, 0)


def test_a_row_that_both_learned_from_is_left_out_whatever_remains(registry: Folders, models: Models) -> None:
    learned(registry, 1, hashes(*range(2, 11)))
    learned(registry, 2, hashes(0, 1, 2))
    found = gathered(registry)
    assert found.leaked == 3
    assert found.records["text"].tolist() == TEXTS[3:]


def test_a_champion_that_no_longer_says_what_it_learned_from_is_said(registry: Folders, models: Models) -> None:
    learned(registry, 1, None)
    found = gathered(registry)
    assert not found.champion_says
    assert found.champion is not None
    assert found.champion.train_hashes is None


def test_a_challenger_that_does_not_say_it_is_not_judged(registry: Folders, models: Models) -> None:
    learned(registry, 2, None)
    with pytest.raises(NotFoundError, match="does not say what it learned from") as refused:
        gathered(registry)
    assert refused.value.hint == "passerelle train --again; passerelle register"


def test_a_champion_of_other_columns_is_not_scored(registry: Folders, models: Models) -> None:
    models.columns["1"] = (Column("text", "string"), Column("title", "string"))
    found = gathered(registry)
    assert (found.champion, found.champion_columns, found.champion_version) == (None, models.columns["1"], 1)


def test_a_column_that_the_rows_lack_is_empty_for_the_challenger(registry: Folders, models: Models) -> None:
    models.columns["2"] = (Column("text", "string"), Column("title", "string", required=False))
    seen: list[Any] = []
    pipeline = Pipeline()

    def noted(table: Any) -> Any:
        seen.append(table)
        return pipeline.predict(table)

    models.pipelines["2"] = SimpleNamespace(classes_=Pipeline.classes_, predict=noted)
    found = gathered(registry)
    assert list(seen[0].columns) == ["text", "title"]
    assert seen[0]["title"].isna().all()
    assert found.challenger.scores.probabilities is None
    assert "log_loss" not in found.challenger.figures


def test_memory_that_was_freed_meanwhile_is_no_memory(registry: Folders, models: Models) -> None:
    models.rss = [5 * 2**20, 2**20]
    assert gathered(registry).challenger.memory_mib == 0.0


def answers(**methods: Callable[[Any], Any]) -> Any:
    return SimpleNamespace(**({"classes_": Pipeline.classes_, "predict": Pipeline().predict} | methods))


def raising(error: BaseException) -> Callable[[Any], Any]:
    def fails(_: Any) -> None:
        raise error

    return fails


@pytest.mark.parametrize(
    ("pipeline", "name"),
    [
        (answers(predict=raising(ValueError("trottoir 3"))), "ValueError"),
        (answers(predict=raising(KeyError("text"))), "KeyError"),
        (answers(predict=raising(ZeroDivisionError())), "ZeroDivisionError"),
        (answers(predict=raising(RecursionError())), "RecursionError"),
        (answers(predict=raising(TypeError())), "TypeError"),
        (SimpleNamespace(predict=Pipeline().predict), "AttributeError"),
        (answers(predict=lambda _: np.array([["voirie"]])), "ValueError"),
        (answers(predict=lambda _: np.array(["voirie"])), "ValueError"),
        (answers(predict_proba=lambda table: np.full((len(table), 3), 0.3)), "IndexError"),
        (answers(predict_proba=lambda table: np.full((len(table), 2), np.nan)), "ValueError"),
        (answers(predict_proba=lambda table: np.full((len(table) - 1, 2), 0.5)), "ValueError"),
    ],
)
def test_a_model_that_does_not_predict_is_told_without_a_word_of_the_rows(
    registry: Folders, models: Models, pipeline: Any, name: str
) -> None:
    models.pipelines["2"] = pipeline
    with pytest.raises(IntegrityError) as refused:
        gathered(registry)
    assert refused.value.message == f"the model {ref(2)} does not predict the held-out rows: {name}"
    assert refused.value.hint == TRAIN_AGAIN
    assert refused.value.__cause__ is None


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
