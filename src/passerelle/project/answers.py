"""The five checked answers by which new projects differ."""

from __future__ import annotations

import keyword
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from passerelle.errors import UsageError
from passerelle.project_file import LANGUAGES, TARGETS, Data, ProjectFile

#: A Docker image, a Kubernetes label and a bento take all such names.
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST_NAME = 50
_COLUMNS = ("days_open", "reminders", "attachments", "channel")
_TEXT = {"fr": "Aucune réponse depuis trois mois", "en": "No answer for three months"}
DATA_FOLDER = "training/data"


@dataclass(frozen=True)
class Answers:
    """A project's name, language, target and data.

    Attributes:
        demo_text: Text that the demo sends to the service.
    """

    name: str
    language: str
    target: str
    data: Data
    demo_text: str

    @property
    def shipped_data(self) -> str | None:
        """The file among the package's data sets that the project comes with; None where the team brought its own."""
        shipped = data_set(self.language, table=not self.data.text_columns)
        return shipped if self.data.file == f"{DATA_FOLDER}/{shipped}" else None


def data_set(language: str, *, table: bool) -> str:
    """Return the name of the small data set that comes with a project."""
    return "requests.csv" if table else {"fr": "comments.csv", "en": "comments.en.csv"}[language]


def answers(
    name: str,
    *,
    language: str = "fr",
    text_columns: tuple[str, ...] = (),
    table: bool = False,
    feature_columns: tuple[str, ...] = (),
    label_column: str = "label",
    target: str = "embedded",
    data: Path | None = None,
) -> Answers:
    """Return the checked answers.

    Args:
        text_columns: Columns of the texts, several only with `data`; by default `text`, unless it is a table.
        table: Whether records are rows of a table without text.
        feature_columns: Columns of that table; needed with `data`.
        data: CSV, xlsx, JSON or Parquet file of the team's; without it, a small data set comes with the project.

    Raises:
        UsageError: The name cannot be used, or the columns contradict each other.
    """
    check_name(name)
    _check_one_of(language, LANGUAGES)
    _check_one_of(target, TARGETS)
    table = table or bool(feature_columns)
    if len(text_columns) > 1 and data is None:
        raise UsageError("several text columns need --data", hint=f"passerelle new {name} --data FILE --text-column COLUMN")
    if table and text_columns:
        raise UsageError("a text column and --table exclude each other", hint=f"passerelle new {name} --table")
    if feature_columns and data is None:
        raise UsageError("feature columns need --data", hint=f"passerelle new {name} --data FILE --feature-column COLUMN")
    if table and data is not None and not feature_columns:
        raise UsageError(f"which columns of {data} are features?", hint=f"passerelle new {name} --data FILE --feature-column COLUMN")
    features = (feature_columns or _COLUMNS) if table else ()
    texts = () if table else text_columns or ("text",)
    if label_column in (*texts, *features):
        raise UsageError(f"the column {label_column} is both the class and what it is learned from", hint="passerelle new --help")
    file = f"{DATA_FOLDER}/{data.name if data else data_set(language, table=table)}"
    return Answers(name, language, target, Data(file, label_column, texts, features), _TEXT[language])


def _check_one_of(value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageError(f"{value!r} is none of {', '.join(allowed)}", hint="passerelle new --help")


def answers_of(file: ProjectFile) -> Answers:
    """Return the answers that a project's passerelle.toml records."""
    text = file.variables.get("PASSERELLE_DEMO_TEXT", _TEXT[file.language])
    return Answers(file.name, file.language, file.target, file.data, text)


def check_name(name: str) -> None:
    """Check that BentoML, Docker, Kubernetes and Python can all take the name of a project.

    Raises:
        UsageError: One of them cannot; the hint holds a name like it that all can.
    """
    if _NAME.fullmatch(name) and len(name) <= _LONGEST_NAME and not keyword.iskeyword(name):
        return
    rule = (
        f"use at most {_LONGEST_NAME} lower-case letters and digits, with single hyphens between them and a letter first; no Python keyword"
    )
    raise UsageError(f"{name!r} cannot name a project: {rule}", hint=f"passerelle new {similar(name)}")


def similar(name: str) -> str:
    """Return a name that can be used, as like the given one as possible."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    joined = re.sub(r"[^a-z0-9]+", "-", plain).lstrip("-0123456789")[:_LONGEST_NAME].strip("-")
    return joined if joined and not keyword.iskeyword(joined) else f"{joined or 'my'}-project"
