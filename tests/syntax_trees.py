"""Source files as syntax trees, each parsed and walked once a process: two dozen rules read the same files."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from functools import cache
from pathlib import Path


@cache
def tree_of(path: Path) -> ast.Module:
    """Return the syntax tree of a file; nobody changes it."""
    return ast.parse(path.read_text())


@cache
def nodes_of(path: Path) -> Sequence[ast.AST]:
    """Return all nodes of a file's syntax tree, in the order of `ast.walk`, which takes longer than the parser."""
    return tuple(ast.walk(tree_of(path)))
