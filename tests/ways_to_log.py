"""The ways to log that are tested, and what comes of each: `python -m tests.ways_to_log` prints the table of docs/adopt.md."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping

from tests.logged_models import ROWS, Row
from tests.more_logged_models import MORE

_PLACES = ("a version", "a run", "an alias", "a logged model", "a version of a deleted run", "a copied version")
#: Models of tests/flavor_models.py: the task, and how pyfunc reads what has no reader of its own.
_FLAVORS: Mapping[str, str] = {
    "lightgbm binary": "classification",
    "lightgbm multiclass": "classification",
    "lightgbm regression": "regression",
    "lightgbm estimator": "classification",
    "lightgbm categories": "classification",
    "xgboost softprob": "classification",
    "xgboost softmax": "classification",
    "xgboost logistic": "classification",
    "xgboost squarederror": "regression",
    "xgboost estimator": "classification",
    "catboost classifier": "classification",
    "catboost multiclass": "classification",
    "catboost native": "classification",
    "onnx classifier": "classification",
    "onnx tensor": "classification",
    "onnx regression": "regression",
    "pyfunc table": "multioutput",
}
SKLEARN, FLAVORS, OF_TEXTS = "sklearn", "flavors", "texts"
_NAMED = {"text_column": "text"}
#: Models of tests/text_models.py.
_TEXTS: Mapping[str, Row] = {
    "transformers, text classification": Row(saved="transformers classifier", options=_NAMED),
    "transformers, several labels a text": Row(saved="transformers multi-label", options=_NAMED, task="multilabel", place="a logged model"),
    "transformers, without its tokenizer": Row(
        saved="transformers without tokenizer", options=_NAMED, refused="the model was logged without its tokenizer", place="a run"
    ),
    "sentence_transformers, embeddings": Row(saved="sentence_transformers", options=_NAMED, task="multioutput", place="an alias"),
    "pickle, a linear head above embeddings": Row(saved="embeddings with a linear head", options=_NAMED, form="list", place="a run"),
}


def _flavors() -> Iterator[tuple[str, Row]]:
    for number, (name, task) in enumerate(_FLAVORS.items()):
        yield name.replace(" ", ", ", 1), Row(saved=name, task=task, place=_PLACES[number % len(_PLACES)])
    # Its one-hot encoder knows the values of training alone, which no signature says.
    values = {"examples": "a,b,n,c\n0.5,-1,3,x\n-0.5,1,4,y\n"}
    boosted = Row(
        saved="sklearn pipeline of lightgbm", refused="the model refuses every input that was made from its signature", mended=values
    )
    yield "pickle, a pipeline that ends in LightGBM", boosted


#: By the environment that reads them, and their names.
WAYS: Mapping[str, Mapping[str, Row]] = {SKLEARN: {**ROWS, **MORE}, FLAVORS: dict(_flavors()), OF_TEXTS: _TEXTS}


def options_of(options: Mapping[str, object]) -> str:
    """Return the options as the table shows them."""
    names = ("drop_column" if name == "drop_columns" else name for name in options)
    return ", ".join(f"`--{name}`".replace("_", "-") for name in names) or "—"


def outcome_of(row: Row) -> str:
    """Return what comes of it, as the table shows it."""
    if not row.refused:
        form = "" if row.form == "table" else f", as a {row.form}"
        return f"{row.task}{form}; golden inputs from {row.origin}"
    if row.mended is None:
        return f"refused: {row.refused}"
    return f"refused: {row.refused}; adopted {f'with {options_of(row.mended)}' if row.mended else 'without the option'}"


def line_of(name: str, row: Row) -> str:
    """Return the line of one way in that table."""
    return f"| {name} | {row.place} | {options_of(row.options)} | {outcome_of(row)} |"


def table() -> str:
    """Return the table of docs/adopt.md."""
    lines = ["| logged | where it lies | options | outcome |", "|---|---|---|---|"]
    for ways in WAYS.values():
        lines += [line_of(name, row) for name, row in ways.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table())
