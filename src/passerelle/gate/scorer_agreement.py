"""Whether what answers in production is what the gate judges: the gate scores the pipeline, the service asks the compiled scorer.

Whoever may write to the store can replace the scorer's files together with their digests. The pipeline compiles to the same scorer each
time, so that a replaced one is seen without any key.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from passerelle.gate.agreement import Agreement, agreement_of
from passerelle.gate.finding import Finding, finding_of, message_of
from passerelle.gate.held_out import VersionFiles
from passerelle.gate.latency import what_answers
from passerelle.gate.messages import Message
from passerelle.gate.perturbations import NGRAMS, cases
from passerelle.model.classifier import load_pipeline, pipeline_rows
from passerelle.model.fitted_state import state_differences
from passerelle.model.flavors import FLAVORS
from passerelle.model.golden import read_golden
from passerelle.model.loaded import scorer_rows
from passerelle.model.mlmodel import describe
from passerelle.names import SCORER_FOLDER
from passerelle.scorer.compile.pipeline_label import pipeline_label
from passerelle.scorer.scorer import CompiledScorer
from passerelle.scorer.sections import Vocabulary
from passerelle.scorer.storage import is_packed, pack, sections_without_pairs, unpack

_CHECK = "scorer"
_NAMED = 3
_CANDIDATES = 3_000


@dataclass(frozen=True)
class ScorerAgreement:
    """How the scorer of a version differs from its pipeline.

    Attributes:
        registered: Whether the version has a scorer of its own; the service compiles the pipeline where it has none.
        compiled: Whether the pipeline compiles.
        files: Files of the registered scorer that are not what the pipeline compiles to, and how they differ.
        answers: To rows and to changed rows; None where the pipeline itself answers.
    """

    registered: bool
    compiled: bool
    files: tuple[str, ...] = ()
    answers: Agreement | None = None


def scorer_agreement(version: VersionFiles, records: pd.DataFrame) -> ScorerAgreement:
    """Return how what answers in production differs from the pipeline, on these records and on changed ones.

    Raises:
        IntegrityError: The scorer's files do not fit each other, or the pipeline cannot be read.
    """
    description = describe(version.folder)
    pipeline = load_pipeline(version.folder, description)
    answering = what_answers(pipeline, version.golden)
    compiled = answering if isinstance(answering, CompiledScorer) else None
    folder = version.folder / SCORER_FOLDER
    registered = is_packed(folder)
    stored = unpack(folder, pipeline_label=lambda questions: pipeline_label(pipeline, questions)) if registered else compiled
    if stored is None:
        return ScorerAgreement(registered, compiled=False)
    columns = description.column_names
    classes = FLAVORS[description.flavor].classes(pipeline)
    questions = cases(records.reindex(columns=columns), unseen_ngrams(compiled, stored, version.golden))
    answers = agreement_of(
        (classes, lambda given: pipeline_rows(pipeline, columns, given, flavor=description.flavor)),
        (stored.classes, lambda given: scorer_rows(stored, given)),
        questions,
    )
    differing = tuple(file_differences(folder, compiled)) if registered and compiled is not None else ()
    return ScorerAgreement(registered, compiled is not None, differing, answers)


def unseen_ngrams(compiled: CompiledScorer | None, stored: CompiledScorer, golden: Path | None) -> list[str]:
    """Return n-grams that occur in no golden input: those that weigh most in the scorer that answers, and others.

    Args:
        compiled: What the pipeline compiles to, whose n-grams are taken; of one that cannot be compiled there are none.
        stored: What answers.
        golden: File of the golden predictions; None where there are none.
    """
    if compiled is None:
        return []
    terms: list[str] = []
    for section in compiled.sections:
        vocabulary = section.terms
        columns = vocabulary.columns if isinstance(vocabulary, Vocabulary) else {}
        named = [""] * section.width
        for term, column in columns.items():
            named[column] = term
        terms += named
    seen = " ".join(str(value) for record in (read_golden(golden).inputs if golden else ()) for value in record.values()).casefold()
    weights = np.abs(stored.linear.table).max(axis=1) if len(stored.linear.table) == len(terms) else np.zeros(len(terms))
    heaviest = np.argsort(-weights, kind="stable")[:_CANDIDATES].tolist()
    others = np.random.default_rng(0).permutation(len(terms))[:_CANDIDATES].tolist()
    unseen = [[terms[place] for place in places if terms[place].strip() and terms[place] not in seen] for places in (heaviest, others)]
    return list(dict.fromkeys([*unseen[0][: NGRAMS // 3], *unseen[1]]))[:NGRAMS]


def file_differences(folder: Path, compiled: CompiledScorer, *, rounding: float = 1e-9) -> Iterator[str]:
    """Yield each file of the registered scorer that is not what the pipeline compiles to.

    Args:
        folder: Of the registered scorer.
        compiled: What the pipeline compiles to.
        rounding: Relative difference of two numbers that counts as none.
    """
    with tempfile.TemporaryDirectory(prefix="passerelle-gate-") as temporary:
        expected = Path(temporary) / SCORER_FOLDER
        # In the form in which it was stored: whether a version answers as its pipeline does is no question of the package that wrote it.
        pack(compiled, expected, without_pairs=sections_without_pairs(folder))
        names = sorted({path.name for place in (folder, expected) for path in place.iterdir()})
        for name in names:
            difference = file_difference(folder / name, expected / name, rounding)
            if difference:
                yield f"{SCORER_FOLDER}/{name} ({difference})"


def file_difference(stored: Path, compiled: Path, rounding: float) -> str:
    """Return how two files of a scorer differ in what they hold; empty where they do not."""
    if not (stored.is_file() and compiled.is_file()):
        return "not there" if compiled.is_file() else "one too many"
    if stored.read_bytes() == compiled.read_bytes():
        return ""
    try:
        if stored.suffix == ".npy":
            return array_difference(np.load(stored, allow_pickle=False), np.load(compiled, allow_pickle=False), rounding)
        return "another content" if state_differences(json.loads(stored.read_bytes()), json.loads(compiled.read_bytes()), most=1) else ""
    except (ValueError, OSError, RecursionError):
        return "cannot be read"


def array_difference(one: NDArray[np.generic], other: NDArray[np.generic], rounding: float) -> str:
    """Return by how much two arrays differ beyond rounding; empty where they do not."""
    if one.shape != other.shape:
        return f"the shape {one.shape} instead of {other.shape}"
    if not (np.issubdtype(one.dtype, np.number) and np.issubdtype(other.dtype, np.number)):
        different = int(np.sum(one != other))
        return f"{different} of {one.size} values" if different else ""
    different = int(np.sum(~np.isclose(one, other, rtol=rounding, atol=rounding * 1e-3, equal_nan=True)))
    if not different:
        return ""
    largest = float(np.max(np.abs(np.nan_to_num(one.astype(np.float64) - other.astype(np.float64), nan=np.inf))))
    return f"{different} of {one.size} values, by up to {largest:.3g}"


def scorer(found: ScorerAgreement | None) -> Finding:
    """What answers in production is not what the gate judges."""
    if found is None or (found.answers is None and not found.registered):
        return Finding(_CHECK, True, "—", "—")
    answers = found.answers
    return finding_of(
        _CHECK,
        f"{answers.differing} / {answers.records:,}, {answers.largest:.1e}" if answers else "—",
        "0",
        list(_problems(found, answers)),
    )


def _problems(found: ScorerAgreement, answers: Agreement | None) -> Iterator[Message]:
    if found.registered and not found.compiled:
        yield message_of("scorer_foreign")
    if found.files:
        yield message_of("scorer_files", files=_listed([each.partition(" ")[0] for each in found.files]))
    if answers is not None and answers.differing:
        values = {"labels": answers.labels, "of": answers.records, "largest": f"{answers.largest:.2g}"}
        yield message_of("scorer_answers", **values, row=answers.row, change=answers.change)


def _listed(files: Sequence[str]) -> str:
    more = f", {len(files) - _NAMED} more" if len(files) > _NAMED else ""
    return ", ".join(files[:_NAMED]) + more
