"""A flavor is one file and one line: nothing else of passerelle names the library that it stands for."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from passerelle.errors import UsageError
from passerelle.model.answer import answer_of
from passerelle.model.classifier import load_pipeline, pipeline_rows
from passerelle.model.flavors import FLAVORS
from passerelle.model.flavors.flavor import ModelFile
from passerelle.model.mlmodel import describe
from tests.unit.test_architecture import SOURCE, imports

#: What may know scikit-learn besides its flavor: what compiles its pipelines, reads adopted ones, trains them, or computes figures.
KNOWS = ("scorer/compile/", "model/flavors/", "model/host/", "training/", "gate/")
#: Lists of packages for the image and for environments, and of trusted types, which name it as text.
NAMES_IT = ("bentos/image/", "environments/needs.py", "settings.py", "model/trust.py", "cli/prerequisites.py")


def test_scikit_learn_is_known_where_it_must_be() -> None:
    for path in sorted(SOURCE.rglob("*.py")):
        place = path.relative_to(SOURCE).as_posix()
        if place.startswith(KNOWS):
            continue
        assert not [name for name in imports(path) if name.partition(".")[0] in {"sklearn", "skops"}], place
        assert "passerelle.model.flavors.sklearn" not in " ".join(imports(path)), f"{place}: ask FLAVORS"
        texts = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
        assert place.startswith(NAMES_IT) or "sklearn" not in texts, place


class Counting:
    """A flavor whose classifier is a number: how long a text must be to be long."""

    title = "counting"
    requirements: tuple[str, ...] = ()
    packages = frozenset[str]()

    def describe(self, entry: Mapping[str, Any]) -> ModelFile:
        return ModelFile(str(entry["data"]), pickled=False)

    def libraries(self, entry: Mapping[str, Any]) -> dict[str, str]:
        return {"counting": str(entry["version"])}

    def load(self, path: Path, *, pickled: bool) -> Any:  # noqa: ARG002 - the interface's
        return int(path.read_text())

    def classes(self, classifier: Any) -> tuple[Any, ...]:  # noqa: ARG002 - the interface's
        return ("short", "long")

    def predict(self, classifier: Any, columns: Sequence[str], records: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[float]]]:
        lengths = [len(record[columns[0]]) for record in records]
        return ["long" if n >= classifier else "short" for n in lengths], [[0.0, 1.0] if n >= classifier else [1.0, 0.0] for n in lengths]

    def label(self, classifier: Any, question: Mapping[str, object] | str) -> Any:
        raise NotImplementedError


def test_a_new_flavor_is_described_loaded_and_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "threshold").write_text("5")
    content = {
        "flavors": {"python_function": {}, "counting": {"data": "threshold", "version": "1.2"}},
        "signature": {"inputs": '[{"name": "text", "type": "string"}]'},
    }
    (tmp_path / "MLmodel").write_text(yaml.safe_dump(content))
    with pytest.raises(UsageError, match="the model's flavors are counting, python_function: only scikit-learn classifiers can be served"):
        describe(tmp_path)
    monkeypatch.setitem(FLAVORS, "counting", Counting())
    description = describe(tmp_path)
    assert (description.flavor, description.libraries) == ("counting", {"counting": "1.2"})
    classifier = load_pipeline(tmp_path, description)
    rows = pipeline_rows(classifier, description.column_names, [{"text": "non"}, {"text": "volontiers"}], flavor=description.flavor)
    assert [answer_of(row, ["short", "long"]).label for row in rows] == ["short", "long"]
