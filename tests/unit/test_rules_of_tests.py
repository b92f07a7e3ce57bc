"""Tests read no file outside of the repository, and only tests of time are tried again."""

from __future__ import annotations

import ast
import re
import runpy
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, cast

import pytest

import tests
from tests.conftest import LONGEST_FIRST, TOGETHER, OneProcessAFolder
from tests.syntax_trees import nodes_of
from tests.timing import may_be_tried_again

ROOT = Path(tests.__file__).resolve().parents[1]
HERE = Path(__file__).resolve()
FILES = sorted({path for folder in ("tests", "loadtests", "training") for path in (ROOT / folder).rglob("*.py")} - {HERE})
#: A string that leaves the repository: upwards, or by the path of somebody's home or of a checkout.
LEAVES = re.compile(r"(^|/)\.\.(/|$)|^/(home|work|srv|mnt|opt|Users)(/|$)")
#: Paths that a model must not name; the test asserts that they are refused.
REFUSED = {("tests/unit/model/test_load.py", "../golden.json"), ("tests/unit/batch/test_ray_tasks.py", "../../stolen")}


def steps_up(node: ast.expr) -> int | None:
    """Return how many folders an expression on `__file__` goes up, or None for any other expression."""
    match node:
        case ast.Name(id="__file__"):
            return 0
        case ast.Attribute(value=inner, attr="parent"):
            up = steps_up(inner)
            return None if up is None else up + 1
        case ast.Subscript(value=ast.Attribute(value=inner, attr="parents"), slice=ast.Constant(value=int(number))):
            up = steps_up(inner)
            return None if up is None else up + number + 1
        case ast.Call(func=ast.Attribute(value=inner, attr="resolve" | "absolute")):
            return steps_up(inner)
        case ast.Call(func=ast.Name(id="Path"), args=[inner]):
            return steps_up(inner)
    return None


def paths_outside(nodes: Iterable[ast.AST], name: str) -> Iterator[str]:
    """Yield each path among the syntax nodes of the file with this name that leads out of the repository."""
    depth = len(Path(name).parts)
    for node in (each for each in nodes if isinstance(each, ast.expr)):
        match node:
            case ast.Constant(value=str(string)):
                outside = bool(LEAVES.search(string)) and (name, string) not in REFUSED
            case ast.Attribute(value=ast.Name(id="ROOT"), attr="parent" | "parents"):
                outside = True
            case _:
                outside = (steps_up(node) or 0) > depth
        if outside:
            yield f"{name}:{node.lineno}: {ast.unparse(node)}"


def test_no_test_names_a_path_outside_of_the_repository() -> None:
    assert len(FILES) > 100
    assert [found for path in FILES for found in paths_outside(nodes_of(path), str(path.relative_to(ROOT)))] == []


@pytest.mark.parametrize(
    ("code", "outside"),
    [
        ("Path(__file__).resolve().parents[2] / 'tests'", False),
        ("Path(__file__).resolve().parents[3] / 'shared' / 'data.csv'", True),
        ("Path(__file__).parent.parent.parent", False),
        ("Path(__file__).parent.parent.parent.parent", True),
        ("open('../shared/data.csv')", True),
        ("open('/home/marie/data.csv')", True),
        ("ROOT.parent / 'shared'", True),
        ("folder.parent / 'data.csv'", False),
    ],
)
def test_the_search_finds_such_paths(code: str, outside: bool) -> None:
    assert bool(list(paths_outside(ast.walk(ast.parse(code)), "tests/unit/test_example.py"))) is outside


#: An assertion on what a clock showed.
ON_TIME = re.compile(r"(monotonic|perf_counter|process_time)\(\) - |\bseconds\(|p99_ms <|\.(ready_|own_)?seconds <|_s'\] <")


def test_assertions_on_time_are_marked() -> None:
    unmarked = []
    for path in FILES:
        for node in nodes_of(path):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                asserted = [ast.unparse(each.test) for each in ast.walk(node) if isinstance(each, ast.Assert)]
                marked = "pytest.mark.timing" in map(ast.unparse, node.decorator_list)
                if any(map(ON_TIME.search, asserted)) and not marked:
                    unmarked.append(f"{path.relative_to(ROOT)}::{node.name}")
    assert unmarked == []


def report(name: str, *markers: str, when: Literal["setup", "call", "teardown"] = "call") -> pytest.TestReport:
    return pytest.TestReport(name, ("tests.py", 1, name), dict.fromkeys(markers, 1), "failed", None, when)


def test_only_tests_of_time_are_tried_again() -> None:
    slow, other = report("slow", "timing", "e2e"), report("other", "e2e")
    assert may_be_tried_again([slow], 1) == ["slow"]
    assert may_be_tried_again([slow, other], 1) == [], "a failure that is not about time fails CI at once"
    assert may_be_tried_again([other], 1) == []
    assert may_be_tried_again([report("slow", "timing", when="setup")], 1) == [], "its fixture failed"
    assert may_be_tried_again([slow], 2) == [], "the run was interrupted"
    assert may_be_tried_again([], 1) == []


def test_ci_tries_nothing_else_again() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    again = script[script.index("timing/failed") :]
    assert "--last-failed" not in script.partition("timing/failed")[0]
    assert again.count("--last-failed ") == 1
    assert "were tried again" in again


def test_the_tests_that_begin_first_are_there() -> None:
    for each in LONGEST_FIRST:
        file, _, name = each.partition("::")
        found = [path.read_text() for path in FILES if str(path.relative_to(ROOT)).startswith(file)]
        assert any(f"\ndef {name or 'test_'}" in text for text in found), each
    assert [each for each in TOGETHER if not (ROOT / each).exists()] == []


@pytest.mark.parametrize(
    ("test", "scope"),
    [
        ("tests/stack/test_stack.py::test_a", "tests/stack/"),
        ("tests/stack/test_stack_faults.py::test_a[b]", "tests/stack/"),
        ("tests/stack/test_other_stacks.py::test_a", "tests/stack/test_other_stacks.py"),
        ("tests/integration/test_container.py::test_a[whole]", "tests/integration/test_container.py"),
        ("tests/integration/test_door.py::test_a", "tests/integration/test_door.py::test_a"),
        ("tests/unit/serving/test_access.py::test_a", "tests/unit/serving/test_access.py::test_a"),
    ],
)
def test_what_is_shared_is_made_in_one_process(test: str, scope: str) -> None:
    assert OneProcessAFolder._split_scope(cast("OneProcessAFolder", None), test) == scope


def test_coverage_is_printed_by_folder() -> None:
    def file(*counts: int) -> dict[str, dict[str, int]]:
        return {"summary": dict(zip(("num_statements", "covered_lines", "num_branches", "covered_branches"), counts, strict=True))}

    files = {
        "src/passerelle/cli/main.py": file(10, 5, 0, 0), "src/passerelle/cli/run/a.py": file(6, 6, 4, 2),
        "src/passerelle/errors.py": file(4, 4, 0, 0), "training/params.py": file(0, 0, 0, 0),
    }  # fmt: skip
    table = runpy.run_path(str(ROOT / ".ci" / "coverage_by_folder.py"))["table"](files)
    expected = ["passerelle/cli 16 4 65 %", "passerelle 4 0 100 %", "training 0 0 -", "all 20 4 71 %"]
    assert [" ".join(line.split()) for line in table[1:]] == expected
