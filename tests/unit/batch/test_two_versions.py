"""Two versions label the same rows, and what differs is counted; examples hold no personal data."""

from __future__ import annotations

from pathlib import Path

import pytest

from passerelle.batch.scored_split import Scoring
from passerelle.batch.table_file import LocalFile
from passerelle.batch.table_plan import plan_of
from passerelle.batch.two_versions import version_differences
from passerelle.model.version_differences import VersionDifferences
from passerelle.monitoring.redaction import redact
from passerelle.stages.score_records import record_reader
from tests.unit.batch.tables import SETTINGS, bento_model, loaded, write_csv
from tests.unit.serving.models import LABELS, TEXTS


class Renamed:
    """A model that gives one label another name."""

    def __init__(self, scoring: Scoring) -> None:
        self.model = _Relabelled(scoring)
        self.read_records = scoring.read_records


class _Relabelled:
    def __init__(self, scoring: Scoring) -> None:
        self.description, self.scorer = scoring.model.description, scoring.model.scorer
        self.labels = tuple("retard" if label == "délai" else label for label in scoring.model.labels)


def compared(root: Path) -> VersionDifferences:
    model = loaded(bento_model(root))
    scoring = Scoring(model, record_reader(model, SETTINGS))
    rows = [{"text": f"{text} 06 12 34 56 78"} for text in TEXTS] + [{"text": " "}]
    plan = plan_of(LocalFile.at(write_csv(root / "a.csv", rows)), ["text"])
    scorings: tuple[Scoring, Scoring] = (scoring, Renamed(scoring))  # type: ignore[assignment]
    return version_differences([plan], "test", (1, 2), scorings, redact=lambda text: redact(text).text, progress=lambda _: None)


def test_rows_are_counted_by_the_pair_of_their_labels(tmp_path: Path) -> None:
    found = compared(tmp_path)
    assert (found.rows, found.different, found.refused_rows) == (6, LABELS.count("délai"), 1)
    assert [(each.former, each.new, each.rows) for each in found.pairs] == [("délai", "retard", 2)]
    assert [(each.row, each.former, each.new) for each in found.examples] == [(1, "délai", "retard"), (2, "délai", "retard")]
    assert not [each for each in found.examples if "34 56" in each.text], "telephone numbers are redacted"


def test_it_is_read_back_as_it_was_stored_and_refused_otherwise(tmp_path: Path) -> None:
    found = compared(tmp_path)
    assert VersionDifferences.parse(found.content()) == found
    for broken in ({}, found.content() | {"pairs": 3}, found.content() | {"examples": [{"row": "x"}]}):
        with pytest.raises(ValueError, match="is missing or of another type"):
            VersionDifferences.parse(broken)
