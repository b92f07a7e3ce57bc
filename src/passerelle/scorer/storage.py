"""A compiled scorer in files: written with scikit-learn, read without it.

Large parts are arrays that are mapped into memory, so that the workers of one machine share it. No code is in the files.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from passerelle.errors import TRAIN_AGAIN, DamagedFileError
from passerelle.scorer.analyzers import Analyzer
from passerelle.scorer.head import head_from
from passerelle.scorer.linear import LinearScores
from passerelle.scorer.pairs import Pairs, pairs_of
from passerelle.scorer.scorer import CompiledScorer, PipelineLabel
from passerelle.scorer.sections import Hashing, Section, Vocabulary

#: Incremented when the format changes; a scorer of another format is not read.
FORMAT = 1
INDEX = "scorer.json"
#: What is raised by a file that is missing or damaged, or that does not fit the others.
_UNREADABLE = (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, RecursionError)
_ROWS = ("table", "intercepts", "bounds", "own", "union")


def pack(scorer: CompiledScorer, folder: Path, *, without_pairs: Collection[int] = ()) -> None:
    """Write the scorer to a new folder.

    Args:
        without_pairs: Sections whose n-grams of two words are stored among the others, as earlier versions of this package did.

    Raises:
        OSError: The folder cannot be written.
    """
    folder.mkdir()
    rows = scorer.linear
    sections, first_column = [], 0
    for number, section in enumerate(scorer.sections):
        sections.append(_packed_section(section, folder, number, first_column, pairs=number not in without_pairs))
        first_column += section.width
    for name in _ROWS:
        _save(folder, name, getattr(rows, name))
    content = {
        "format": FORMAT,
        "bare": scorer.bare,
        "index_of_nothing": scorer.index_of_nothing,
        "sections": sections,
        "rows": {name: getattr(rows, name) for name in ("shapes", "signed", "own_orders", "union_order")},
        "head": scorer.head.spec(),
    }
    (folder / INDEX).write_text(json.dumps(content), encoding="ascii")


def is_packed(folder: Path) -> bool:
    """Return whether the folder holds a scorer of this format."""
    try:
        return bool(json.loads((folder / INDEX).read_bytes())["format"] == FORMAT)
    except _UNREADABLE:
        return False


def unpack(folder: Path, *, pipeline_label: PipelineLabel | None) -> CompiledScorer | None:
    """Return the scorer of the folder, or None where it is of another format.

    Args:
        pipeline_label: Asks the fitted pipeline, where there is one; called only where rounding decides.

    Raises:
        IntegrityError: A file is missing or does not fit the others.
    """
    try:
        content = json.loads((folder / INDEX).read_bytes())
        if content["format"] != FORMAT:
            return None
        sections = [_section(entry, folder, number) for number, entry in enumerate(content["sections"])]
        rows = _rows(content["rows"], folder, sum(section.width for section in sections))
        scorer = CompiledScorer(sections, rows, head_from(content["head"]), pipeline_label=pipeline_label, bare=bool(content["bare"]))
        scorer.__dict__["index_of_nothing"] = int(content["index_of_nothing"])
    except _UNREADABLE as error:
        raise DamagedFileError(f"{folder.name} holds no readable compiled scorer", hint=TRAIN_AGAIN) from error
    return scorer


def sections_without_pairs(folder: Path) -> frozenset[int]:
    """Return the sections of a stored scorer whose n-grams of two words are stored among the others.

    Raises:
        IntegrityError: The folder holds no readable scorer.
    """
    try:
        sections = json.loads((folder / INDEX).read_bytes())["sections"]
        return frozenset(number for number, entry in enumerate(sections) if entry["pairs"] is False)
    except _UNREADABLE as error:
        raise DamagedFileError(f"{folder.name} holds no readable compiled scorer", hint=TRAIN_AGAIN) from error


def _packed_section(section: Section, folder: Path, number: int, first_column: int, *, pairs: bool) -> dict[str, object]:
    analyzer = {**asdict(section.analyzer), "stop_words": sorted(section.analyzer.stop_words)}
    entry: dict[str, object] = {"column": section.column, "analyzer": analyzer, "shape": section.shape, "hashing": None, "pairs": False}
    if isinstance(section.terms, Hashing):
        return {**entry, "hashing": asdict(section.terms)}
    columns = section.terms.columns
    if section.analyzer.by_pairs and pairs:
        found = pairs_of(columns, first_column)
        columns = {term: column for term, column in columns.items() if " " not in term}
        _save(folder, f"pairs-{number}-keys", found.keys)
        _save(folder, f"pairs-{number}-known", found.known)
        _dump(folder, f"pairs-{number}-tokens", list(found.tokens))
        entry["pairs"] = True
    _dump(folder, f"terms-{number}", list(columns))
    _save(folder, f"columns-{number}", np.fromiter(columns.values(), dtype=np.int32, count=len(columns)))
    return {**entry, "width": section.width}


def _section(entry: Mapping[str, Any], folder: Path, number: int) -> Section:
    analyzer = dict(entry["analyzer"])
    analyzer |= {"ngrams": tuple(analyzer["ngrams"]), "stop_words": frozenset(analyzer["stop_words"])}
    if entry["hashing"] is not None:
        return Section(entry["column"], Analyzer(**analyzer), Hashing(**entry["hashing"]), entry["shape"])
    pairs = None
    if entry["pairs"]:
        tokens: Sequence[str] = _read(folder, f"pairs-{number}-tokens")
        pairs = Pairs(tokens, _array(folder, f"pairs-{number}-keys"), _array(folder, f"pairs-{number}-known"))
    columns = dict(zip(_read(folder, f"terms-{number}"), _array(folder, f"columns-{number}").tolist(), strict=True))
    return Section(entry["column"], Analyzer(**analyzer), Vocabulary(columns, int(entry["width"]), pairs), entry["shape"])


def _rows(entry: Mapping[str, Any], folder: Path, columns: int) -> LinearScores:
    arrays: dict[str, Any] = {name: _load(folder, name) for name in _ROWS}
    plain: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()}
    rows = LinearScores(**arrays, **plain)
    if len(rows.table) != columns:
        raise ValueError(f"{columns} columns do not fit a table of {len(rows.table)}")
    return rows


def _save(folder: Path, name: str, values: NDArray[np.generic] | None) -> None:
    if values is not None:
        np.save(folder / f"{name}.npy", values, allow_pickle=False)


def _load(folder: Path, name: str) -> NDArray[Any] | None:
    return _array(folder, name) if (folder / f"{name}.npy").exists() else None


def _array(folder: Path, name: str) -> NDArray[Any]:
    """Return a plain array over the mapped file: the class that numpy maps into is slower to index."""
    return np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False))


def _dump(folder: Path, name: str, terms: list[str]) -> None:
    """Write a list of terms; ASCII, since a term may hold half a surrogate pair."""
    (folder / f"{name}.json").write_text(json.dumps(terms), encoding="ascii")


def _read(folder: Path, name: str) -> list[str]:
    terms: list[str] = json.loads((folder / f"{name}.json").read_bytes())
    return terms
