"""The files of a project for its answers: this repository's own root files, and a few templates."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from passerelle import __version__
from passerelle.errors import OutsideError
from passerelle.project.answers import DATA_FOLDER, Answers
from passerelle.project.patterns import BEHAVIOUR, DATA, matching
from passerelle.project_file import FILE

_HERE = Path(__file__).resolve().parent
#: The data set whose labels the behaviour suite asks for.
_WITH_SUITE = "comments.csv"
#: Where one of these files names the project.
_NAMED = {"service.py": ('"classification:latest"', 'name="classification"'), "bentofile.yaml": ("name: classification",)}
_DEMO_NAME = "classification"
#: Files that are the same in every project and not in this repository, by their templates.
_CI = {".github/workflows/ci.yml": "ci.github.yml", ".gitlab-ci.yml": "ci.gitlab.yml"}
#: In the data sets that come with the package.
_TEXT, _LABEL = "text", "label"


def render(answers: Answers) -> dict[str, bytes]:
    """Return the content of every file of a project by its path, but for data that the team brings."""
    files = {name: _named(name, path.read_bytes(), answers.name) for name, path in root_files()}
    files |= {name: _filled(template, answers) for name, template in _templates(answers)}
    files |= {name: (_HERE / "templates" / template).read_bytes() for name, template in _CI.items()}
    if answers.shipped_data is not None:
        files[answers.data.file] = _data(answers)
        files[f"{DATA_FOLDER}/README.md"] = _data_sheet(answers.shipped_data)
    if answers.shipped_data == _WITH_SUITE:
        files[BEHAVIOUR] = (root_folder() / BEHAVIOUR).read_bytes()
    return dict(sorted(files.items()))


def root_files() -> Iterator[tuple[str, Path]]:
    """Yield the root's files that belong to every project, by their paths."""
    root = root_folder()
    for name in matching(root):
        if name not in DATA:
            yield name, root / name


def root_folder() -> Path:
    """Return the folder that holds the root's files: in the wheel a copy, in a checkout the root itself.

    Raises:
        OutsideError: The package was installed without them.
    """
    for folder in (_HERE / "root", _HERE.parents[2]):
        if (folder / "bentofile.yaml").is_file():
            return folder
    hint = "pip install --force-reinstall 'passerelle[workbench]'"
    raise OutsideError(f"the files of a new project are missing from {_HERE}", hint=hint)


def _templates(answers: Answers) -> tuple[tuple[str, str], ...]:
    return ((FILE, f"{FILE}.j2"), ("Makefile", "Makefile.j2"), ("README.md", f"README.{answers.language}.md.j2"))


def _filled(template: str, answers: Answers) -> bytes:
    # Neither HTML nor anything else that a browser reads is made here.
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True, autoescape=False)  # noqa: S701
    environment.filters["toml"] = lambda value: json.dumps(value, ensure_ascii=False)  # a basic string of TOML is one of JSON
    text = environment.from_string((_HERE / "templates" / template).read_text(encoding="utf-8"))
    return text.render(answers=answers, data=answers.data, version=__version__).encode()


def _named(name: str, content: bytes, project: str) -> bytes:
    for token in _NAMED.get(name, ()):
        content = content.replace(token.encode(), token.replace(_DEMO_NAME, project).encode())
    return content


def _source(data_set: str) -> Path:
    """Return where a data set is: the French one among the root's files, the others among the templates."""
    own = _HERE / "templates" / data_set
    return own if own.is_file() else root_folder() / DATA_FOLDER / data_set


def _data_sheet(data_set: str) -> bytes:
    sheet = _source(data_set).with_suffix(".md")
    return (sheet if sheet.is_file() else root_folder() / DATA_FOLDER / "README.md").read_bytes()


def _data(answers: Answers) -> bytes:
    """Return the data set with the columns named as the answers say."""
    content = _source(Path(answers.data.file).name).read_bytes()
    header, rest = content.split(b"\n", 1)
    renamed = {_TEXT: (*answers.data.text_columns, _TEXT)[0], _LABEL: answers.data.label_column}
    taken = set(renamed.values())
    columns = [renamed.get(column, f"{column}_" if column in taken else column) for column in header.decode().split(",")]
    row = io.StringIO()
    csv.writer(row, lineterminator="\n").writerow(columns)
    return row.getvalue().encode() + rest
