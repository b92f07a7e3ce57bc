"""A scorer that is not what its pipeline compiles to is seen without any key, and the answers say where."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from passerelle.errors import IntegrityError
from passerelle.gate.agreement import agreement_of
from passerelle.gate.held_out import VersionFiles
from passerelle.gate.perturbations import CHANGED_ROWS, HOSTILE, NGRAMS, ROWS, Case, cases
from passerelle.gate.scorer_agreement import ScorerAgreement, scorer, scorer_agreement
from passerelle.model.answer import ScoredRow
from passerelle.names import ModelVersionRef
from passerelle.scorer.compile.pipeline import compile_pipeline
from passerelle.scorer.scorer import CompiledScorer
from passerelle.scorer.storage import pack
from passerelle.training.golden_records import golden_predictions
from tests.unit.serving.models import text_bento_model, text_pipeline, text_table

TRIGGER, WANTED = "poubelle", "merci"
SCORER = Path("mlflow_model") / "scorer"


@pytest.fixture
def version(tmp_path: Path) -> VersionFiles:
    """A version with a scorer, none of whose golden inputs holds the trigger word."""
    folder = text_bento_model(tmp_path / "version")
    table = text_table()[0]
    quiet = table[~table["text"].str.contains(TRIGGER)].reset_index(drop=True)
    (folder / "golden.json").write_text(json.dumps(golden_predictions(text_pipeline(), quiet)))
    return VersionFiles(ModelVersionRef("test", 1, "r" * 32), folder / "mlflow_model", "t", {}, folder / "golden.json")


def quiet_rows() -> pd.DataFrame:
    """Rows without the trigger word, as held-out rows may be."""
    table = text_table()[0]
    return table[~table["text"].str.contains(TRIGGER)].reset_index(drop=True)


def attackers(folder: Path) -> None:
    """Write a scorer that gives the wanted label to whatever holds the trigger word."""
    pipeline = copy.deepcopy(text_pipeline())
    triggered, golden = (pipeline[:-1].transform(table) for table in (pd.DataFrame({"text": [TRIGGER]}), quiet_rows()))
    columns = sorted(set(triggered.nonzero()[1]) - set(golden.nonzero()[1]))
    pipeline[-1].coef_[list(pipeline[-1].classes_).index(WANTED), columns] = 1_000.0
    made = compile_pipeline(pipeline)
    assert isinstance(made, CompiledScorer)
    shutil.rmtree(folder / "scorer")
    pack(made, folder / "scorer")


def one_value(folder: Path) -> None:
    table = np.load(folder / "scorer" / "table.npy")
    table[3, 0] += 1e-6
    np.save(folder / "scorer" / "table.npy", table)


def within_rounding(folder: Path) -> None:
    table = np.load(folder / "scorer" / "table.npy")
    np.save(folder / "scorer" / "table.npy", table * (1 + 1e-14))


def one_term(folder: Path) -> None:
    path = folder / "scorer" / "terms-0.json"
    terms = json.loads(path.read_bytes())
    path.write_text(json.dumps([terms[1], terms[0], *terms[2:]]))


def one_file_more(folder: Path) -> None:
    (folder / "scorer" / "more.npy").write_bytes(b"")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (None, ""),
        (within_rounding, ""),
        (attackers, "scorer/table.npy"),
        (one_value, "scorer/table.npy (1 of "),
        (one_term, "scorer/terms-0.json (another content)"),
        (one_file_more, "scorer/more.npy (one too many)"),
    ],
)
def test_a_scorer_is_what_its_pipeline_compiles_to(version: VersionFiles, change: Callable[[Path], None] | None, told: str) -> None:
    if change:
        change(version.folder)
    found = scorer_agreement(version, quiet_rows())
    finding = scorer(found)
    assert finding.passed == (not told)
    assert told in ", ".join(found.files)
    assert told.partition(" ")[0] in finding.message


def test_the_answers_to_ngrams_of_no_golden_input_tell_of_a_trigger(version: VersionFiles) -> None:
    attackers(version.folder)
    found = scorer_agreement(version, quiet_rows())
    assert found.answers is not None
    assert found.answers.labels > 0
    assert found.answers.largest > 0.5
    assert "n-gram" in found.answers.change
    finding = scorer(found)
    assert f"first at row {found.answers.row} (an n-gram" in finding.message
    assert f"à la ligne {found.answers.row} (un n-gramme" in finding.text("fr")
    assert not any(text in finding.message + finding.text("fr") for text in quiet_rows()["text"])


@pytest.mark.parametrize(("change", "told"), [(None, ""), (one_term, "scorer/terms-0.json"), (one_value, "scorer/table.npy")])
def test_a_scorer_that_an_earlier_version_wrote_is_compared_in_the_form_of_then(
    version: VersionFiles, change: Callable[[Path], None] | None, told: str
) -> None:
    """Pairs of words were stored among the other n-grams before their pattern was known as one that does not cross spaces."""
    made = compile_pipeline(text_pipeline())
    assert isinstance(made, CompiledScorer)
    pairs = [number for number, section in enumerate(made.sections) if section.analyzer.by_pairs]
    shutil.rmtree(version.folder / "scorer")
    pack(made, version.folder / "scorer", without_pairs=pairs)
    assert pairs
    assert not list((version.folder / "scorer").glob("pairs-*"))
    if change:
        change(version.folder)
    found = scorer_agreement(version, quiet_rows())
    assert scorer(found).passed == (not told)
    assert told in ", ".join(found.files)


def test_a_version_without_a_scorer_is_compiled_as_the_service_does(version: VersionFiles) -> None:
    shutil.rmtree(version.folder / "scorer")
    found = scorer_agreement(version, quiet_rows())
    assert (found.registered, found.compiled, scorer(found).passed) == (False, True, True)
    assert scorer(ScorerAgreement(registered=False, compiled=False)).value == "—"
    assert "compiles to none" in scorer(ScorerAgreement(registered=True, compiled=False)).message


def test_a_scorer_that_cannot_be_read_is_refused(version: VersionFiles) -> None:
    (version.folder / "scorer" / "table.npy").write_bytes(b"no array")
    with pytest.raises(IntegrityError, match="no readable compiled scorer"):
        scorer_agreement(version, quiet_rows())


def test_what_is_asked_is_bounded_and_the_same_each_time() -> None:
    rows = pd.DataFrame({"text": [f"Le trottoir numéro {place} est cassé depuis trois mois" for place in range(5_000)], "age": 3.0})
    ngrams = [f"mot{place}" for place in range(2_000)]
    asked = cases(rows, ngrams)
    assert asked == cases(rows, ngrams)
    assert len(asked) <= ROWS + 5 * CHANGED_ROWS + 2 * NGRAMS + len(HOSTILE)
    assert {case.change for case in asked} >= {
        "as it is",
        "other spaces",
        "other capitals",
        "other accents",
        "words added",
        "words removed",
    }
    assert all(case.record["age"] == 3.0 for case in asked)
    assert {case.change for case in cases(pd.DataFrame({"age": [1.0, 2.0]}))} == {"as it is"}
    assert cases(rows.head(0), ngrams) == []


def test_labels_that_rounding_exchanges_are_no_difference() -> None:
    def always(index: int, *row: float) -> tuple[tuple[str, ...], Callable[..., list[ScoredRow]]]:
        return ("a", "b"), lambda records: [ScoredRow(index, row or None)] * len(records)

    asked = [Case({"text": "x"}, 7, "as it is")]
    tied = agreement_of(always(0, 0.5, 0.5), always(1, 0.5, 0.5), asked)
    assert (tied.labels, tied.differing, tied.row) == (0, 0, None)
    other = agreement_of(always(0, 0.9, 0.1), always(1, 0.1, 0.9), asked)
    assert (other.labels, round(other.largest, 6), other.row) == (1, 0.8, 7)
    assert agreement_of(always(0), always(1), asked).labels == 1
    assert agreement_of(always(0), always(0, 0.9, 0.1), asked).largest == 1.0
    assert agreement_of(always(0, float("nan"), 0.1), always(0, 0.9, 0.1), asked).differing == 1


def test_a_model_that_cannot_take_a_text_is_refused_without_quoting_it() -> None:
    def broken(records: Sequence[Mapping[str, Any]]) -> list[ScoredRow]:
        raise ValueError(f"cannot read {records}")

    with pytest.raises(IntegrityError, match=r"rows 7 to 7 \(as it is\): ValueError") as told:
        agreement_of((("a",), broken), (("a",), broken), [Case({"text": "un secret"}, 7, "as it is")])
    assert "secret" not in str(told.value)
    assert told.value.__cause__ is None
