"""What computes stands apart from what knows scikit-learn, and no two of the scorer's modules need each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.unit.test_architecture import SOURCE, imports

SCORER = {f"passerelle.scorer.{path.stem}": path for path in (SOURCE / "scorer").glob("*.py")}
COMPILE = {f"passerelle.scorer.compile.{path.stem}": path for path in (SOURCE / "scorer" / "compile").glob("*.py")}
ALLOWED = ("passerelle.errors", "passerelle.scorer")
HEAVY = ("sklearn", "pandas", "scipy", "skops", "mlflow")


def below(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("module", sorted(SCORER))
def test_the_scorer_needs_errors_and_itself_alone(module: str) -> None:
    names = list(imports(SCORER[module]))
    assert not [name for name in names if below(name, ("passerelle",)) and not below(name, ALLOWED)]
    assert not [name for name in names if below(name, ("passerelle.scorer.compile", *HEAVY))], "only compile/ knows scikit-learn"


def needed(modules: Mapping[str, Path]) -> Iterator[tuple[str, set[str]]]:
    for module, path in modules.items():
        names = list(imports(path))
        yield module, {other for other in modules if other != module and any(below(name, (other,)) for name in names)}


def test_no_module_of_the_scorer_imports_one_that_imports_it() -> None:
    graph = dict(needed(SCORER | COMPILE))
    assert any(graph.values())
    TopologicalSorter(graph).prepare()
