"""An error is made where it is raised: one that is kept and raised again keeps the frames of every earlier time, and all that they hold."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.syntax_trees import nodes_of, tree_of

ROOT = Path(__file__).resolve().parents[2]


def test_no_error_of_a_module_is_raised_more_than_once() -> None:
    found = []
    for path in sorted((ROOT / "src" / "passerelle").rglob("*.py")):
        assigned = [node for node in tree_of(path).body if isinstance(node, ast.Assign | ast.AnnAssign)]
        calls = [node for node in assigned if isinstance(node.value, ast.Call)]
        kept = {name.id for node in calls for name in ast.walk(node) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)}
        raised = {node.exc.id for node in nodes_of(path) if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Name)}
        found += [f"{path.relative_to(ROOT)}: {name}" for name in sorted(kept & raised)]
    assert found == []
