"""What it takes to promote what nobody judged, and that each hint leads on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pytest

from passerelle.criteria import Criteria
from passerelle.errors import CriteriaError, DataError, NotFoundError, PasserelleError, RefusedError, UsageError
from passerelle.gate.verdict import Verdict
from passerelle.names import CANDIDATE, ModelVersionRef
from passerelle.registry.client import CandidateRun, Registry, VersionInfo
from passerelle.registry.run_datasets import RunDataset
from passerelle.stages import promote_rows
from passerelle.stages.acceptance import Reasons
from passerelle.stages.promote_digest import leads_to_adoption, way_to_a_digest
from passerelle.stages.promote_options import PromoteOptions
from passerelle.stages.promote_rows import labelled_rows, read_rows
from passerelle.stages.promote_unknown import check_unknown
from tests.unit.gate.task_verdicts import compared, task_verdict, unjudged
from tests.unit.hint_commands import problem_of

NOTHING = {"classification": True, "regression": True, "clustering": False, "other": False}
REF = ModelVersionRef("prices", 2, "r" * 32)


def refused(verdict: Verdict, held_out: dict[str, Any] | None = None, **options: Any) -> PasserelleError | None:
    try:
        check_unknown(
            verdict,
            Criteria.model_validate({"held_out": held_out or {}}),
            Reasons(options.pop("who", "marie@here"), options.pop("reason", None), options.pop("named", ())),
            development=options.get("development", True),
            retry=options.get("retry", "passerelle promote --model prices --version 2"),
        )
    except PasserelleError as error:
        return error
    return None


@pytest.mark.parametrize("task", NOTHING)
def test_what_nobody_judged_takes_the_reason_of_a_person(task: str) -> None:
    verdict = task_verdict(unjudged(task))
    for options in ({"reason": None}, {"reason": " "}, {"reason": "so", "who": "ci:job by root@here"}):
        error = refused(verdict, **options)
        assert isinstance(error, RefusedError)
        assert not isinstance(error, CriteriaError)
        assert error.hint is not None
        assert problem_of(error.hint) is None
        assert ("--held-out" in error.hint) == NOTHING[task], "rows do not judge a clustering"
        assert error.hint.endswith("passerelle promote --model prices --version 2 --accept unjudged --reason REASON")
    assert refused(verdict, reason="we know it") is None
    assert refused(verdict, reason="we know it", named=("criteria", "unjudged")) is None
    other = refused(verdict, reason="we know it", named=("criteria",))
    assert other is not None
    assert str(other.hint).endswith("--accept criteria --accept unjudged --reason REASON")


def test_criteria_and_production_may_forbid_it() -> None:
    verdict = task_verdict(unjudged("classification"))
    assert isinstance(refused(verdict, {"required": True}, reason="so"), CriteriaError)
    assert isinstance(refused(verdict, reason="so", development=False), CriteriaError)
    assert refused(verdict, {"required": False}, reason="so", development=False) is None
    error = refused(task_verdict(unjudged("clustering")), {"required": True}, reason="so")
    assert error is not None
    assert error.hint == "cat training/criteria.yaml"


def test_unknown_leakage_is_not_passed_over_in_silence() -> None:
    verdict = task_verdict(compared(1.0, None))
    error = refused(verdict)
    assert isinstance(error, RefusedError)
    assert error.hint == "passerelle promote --model prices --version 2 --accept unknown-leakage --reason REASON"
    assert refused(verdict, {"unknown_leakage": "accept"}) is None
    assert refused(verdict, reason="labelled last week") is None
    error = refused(verdict, {"unknown_leakage": "refuse"}, reason="so")
    assert isinstance(error, CriteriaError)
    assert error.hint == "passerelle promote --model prices --version 2 --waive leakage --reason REASON"
    known = replace(verdict, findings=tuple(replace(each, waived="marie: so") for each in verdict.findings))
    assert refused(known, {"unknown_leakage": "refuse"}) is None


def test_rows_and_their_label_are_named_together() -> None:
    for options in (PromoteOptions(held_out="a.csv"), PromoteOptions(labels=("a",))):
        with pytest.raises(UsageError, match="one needs the other"):
            options.check()
    with pytest.raises(DataError, match=r"there is no file a\.csv"):
        PromoteOptions(held_out="a.csv", labels=("a",)).check()
    PromoteOptions(held_out="dataset:a", labels=("a",)).check()


def test_a_file_keeps_its_types_or_has_none(tmp_path: Path) -> None:
    table = pd.DataFrame({"text": ["é", "b"], "label": [0, 1]})
    table.to_csv(tmp_path / "rows.csv", sep=";", index=False, encoding="cp1252")
    table.to_parquet(tmp_path / "rows.parquet")
    csv, parquet = (read_rows(tmp_path / name, ("label",), source="rows") for name in ("rows.csv", "rows.parquet"))
    assert (csv.typed, csv.table["label"].tolist(), csv.table["text"].tolist()) == (False, ["0", "1"], ["é", "b"])
    assert (parquet.typed, parquet.table["label"].tolist()) == (True, [0, 1])


def test_files_that_cannot_be_rows_are_refused_with_a_hint_of_promote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    (tmp_path / "rows.csv").write_text("text,label\na,1\n")
    pd.DataFrame({"label": [0] * 5}).to_parquet(tmp_path / "many.parquet")
    monkeypatch.setattr(promote_rows, "MOST_ROWS", 4)
    for name, label in (("none.csv", "label"), ("bad.parquet", "label"), ("rows.csv", "topic"), ("many.parquet", "label")):
        with pytest.raises(DataError) as error:
            read_rows(tmp_path / name, (label,), source=name)
        assert error.value.hint == "passerelle promote --held-out FILE --label COLUMN"
    monkeypatch.setattr(promote_rows, "_MOST_BYTES", 4)
    with pytest.raises(DataError, match="MiB"):
        read_rows(tmp_path / "rows.csv", ("label",), source="rows.csv")


class Runs:
    """A registry of one version, whose run names these datasets."""

    def __init__(self, *datasets: RunDataset, tags: dict[str, str] | None = None) -> None:
        self.datasets = datasets
        self.tags = tags

    def model_version(self, registered_model: str, version: int) -> VersionInfo:
        return VersionInfo(ModelVersionRef(registered_model, version, "a" * 32), {}, "None", "", 0, logged_by="b" * 32)

    def run(self, run_id: str) -> CandidateRun:
        if self.tags is None:
            raise NotFoundError(f"there is no run {run_id}")
        return CandidateRun(run_id, "", {}, self.tags, "FINISHED")


def test_a_dataset_of_the_run_is_read_unless_the_model_learned_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "eval.csv"
    path.write_text("text,label\na,1\n")
    datasets = (RunDataset("dataset", "training", str(path)), RunDataset("eval", "eval", f"file://{path}"), RunDataset("table", "", ""))
    monkeypatch.setattr(promote_rows, "datasets_of", lambda *_: datasets)
    registry = cast("Registry", Runs())
    assert labelled_rows(registry, REF, "dataset:eval", ("label",)).source == "dataset:eval"
    for name, kind, message in (
        ("dataset", UsageError, "learned from the dataset"),
        ("table", NotFoundError, "names no file of its dataset"),
        ("other", NotFoundError, "it has 'dataset', 'eval', 'table'"),
    ):
        with pytest.raises(kind, match=message):
            labelled_rows(registry, REF, f"dataset:{name}", ("label",))


def test_a_version_without_a_digest_is_adopted_unless_a_training_logged_it() -> None:
    version = Runs().model_version("prices", 2)
    adopt = "passerelle adopt models:/prices/2"
    assert way_to_a_digest(cast("Registry", Runs(tags={})), version) == adopt
    assert way_to_a_digest(cast("Registry", Runs()), version) == adopt
    assert way_to_a_digest(cast("Registry", Runs(tags={CANDIDATE: "word_lr"})), version) == f"passerelle register --run {'b' * 32}"


def test_what_registration_cannot_take_leads_to_adoption() -> None:
    with pytest.raises(UsageError) as refused_one, leads_to_adoption("b" * 32):
        raise UsageError("the model is a LinearRegression, which is not a classifier")
    assert refused_one.value.hint == f"passerelle adopt runs:/{'b' * 32}"
    with pytest.raises(NotFoundError) as other, leads_to_adoption("b" * 32):
        raise NotFoundError("no such run", hint="passerelle compare")
    assert other.value.hint == "passerelle compare"


def test_from_a_foreign_version_the_hints_lead_to_production_and_in_no_circle() -> None:
    """Each step's hint is the command of the next one, and the last one is refused no more."""
    version = Runs().model_version("prices", 2)
    adopt = way_to_a_digest(cast("Registry", Runs()), version)
    for task, rows in NOTHING.items():
        verdict = task_verdict(unjudged(task))
        error = refused(verdict)
        assert error is not None
        assert error.hint is not None
        steps = [adopt, *error.hint.split("\n")]
        assert len(set(steps)) == len(steps) == (3 if rows else 2)
        assert not any(word in step for step in steps for word in ("register", "compare", "train"))
        assert refused(verdict, reason="REASON") is None
        if task == "regression":
            judged = refused(task_verdict(compared(1.0, None)))
            assert judged is not None
            assert judged.hint == "passerelle promote --model prices --version 2 --accept unknown-leakage --reason REASON"


def test_rows_that_are_too_few_to_tell_take_the_reason_of_a_person_and_end_a_job_as_a_result() -> None:
    verdict = task_verdict(compared(1.0, 1.0), {"held_out": {"unknown_leakage": "accept"}})
    assert verdict.undecided is not None
    for who in ("marie@here", "ci:job by root@here"):
        error = refused(verdict, {"unknown_leakage": "accept"}, who=who, reason=None if who == "marie@here" else "so")
        assert isinstance(error, CriteriaError)
        assert (error.code, error.exit_code) == ("criteria", 1)
        assert "too few rows to tell next to version 1" in error.message
        assert error.hint is not None
        assert problem_of(error.hint) is None
        assert error.hint.endswith("passerelle promote --model prices --version 2 --accept too-few-rows --reason REASON")


def test_a_reason_accepts_one_thing_and_names_the_others() -> None:
    verdict = task_verdict(compared(1.0, 1.0))
    error = refused(verdict, reason="read by hand")
    assert isinstance(error, RefusedError)
    assert "the one that is given is for something else" in error.message
    assert error.hint == "passerelle promote --model prices --version 2 --accept too-few-rows --accept unknown-leakage --reason REASON"
    assert problem_of(error.hint) is None
    assert refused(verdict, reason="read by hand", named=("too-few-rows", "unknown-leakage")) is None
    assert refused(verdict, reason=None, named=("too-few-rows", "unknown-leakage")) is not None
    for options in (PromoteOptions(accept=("criteria",)), PromoteOptions(accept=("criteria",), reason=" ")):
        with pytest.raises(UsageError, match="criteria is accepted with a reason") as unsaid:
            options.check()
        assert unsaid.value.hint == "passerelle promote --accept criteria --reason REASON"
