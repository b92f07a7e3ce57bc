"""Every hint of the package as it would be printed, found in the syntax trees: constants, f-strings, and what returns them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from passerelle.stages.acceptance import ACCEPTANCES
from tests.syntax_trees import nodes_of, tree_of

SOURCE = Path(__file__).resolve().parents[2] / "src"
#: What an f-string fills in that is more than one word, or the name of a program.
FILLED = {"engine": "docker", "stack.command": "docker compose", "self.command": "docker compose"}
_PROMOTE = "passerelle promote --model NAME --version VALUE"
FILLED |= {"retry": _PROMOTE, "promote_command(ref)": _PROMOTE, "promote_command(ours.ref)": _PROMOTE}
FILLED |= {"with_rows(ref)": f"{_PROMOTE} --held-out FILE --label COLUMN", "accepting(given)": "--accept criteria --reason REASON"}
FILLED |= {f"reasons.options('{name}')": f"--accept {name} --reason REASON" for name in ACCEPTANCES}
Function = ast.FunctionDef | ast.AsyncFunctionDef


class CannotFollowError(Exception):
    """An expression of a hint that is no text, no condition, and no name of one of them."""


@dataclass(frozen=True)
class Hint:
    """A hint with its place; the values of an f-string are replaced by words in capitals."""

    place: str
    text: str


class Module:
    """The hints of one file."""

    def __init__(self, path: Path) -> None:
        self.place = str(path.relative_to(SOURCE))
        self.tree, self._nodes = tree_of(path), nodes_of(path)
        self._parents = {child: node for node in self._nodes for child in ast.iter_child_nodes(node)}

    def hints(self) -> Iterator[Hint]:
        """Yield each `hint=` of a call and each text that is assigned to the hint of an error, in every form that it can take."""
        for node in self._nodes:
            for keyword in node.keywords if isinstance(node, ast.Call) else ():
                if keyword.arg == "hint":
                    yield from self._at(keyword.value)
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).endswith("error.hint"):
                yield from self._at(node.value)

    def _at(self, node: ast.expr) -> Iterator[Hint]:
        yield from (Hint(f"{self.place}:{node.lineno}", text) for text in self.texts(node))

    def texts(self, node: ast.expr) -> list[str]:  # noqa: PLR0911 - one for each kind of expression
        """Return what the expression can be; nothing for None and for what is only handed on."""
        if isinstance(node, ast.Constant):
            return [node.value] if isinstance(node.value, str) else []
        if isinstance(node, ast.JoinedStr):
            return ["".join(parts) for parts in product(*(self._part(value) for value in node.values))]
        if isinstance(node, ast.IfExp):
            return self.texts(node.body) + self.texts(node.orelse)
        if isinstance(node, ast.BoolOp):
            return [text for value in node.values for text in self.texts(value)]
        if isinstance(node, ast.BinOp):
            return [left + right for left, right in product(self.texts(node.left), self.texts(node.right))]
        if isinstance(node, ast.Name):
            return [text for value in self._values(node) for text in self.texts(value)] or self._imported(node.id)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            returned = [each.value for each in self._nodes if isinstance(each, ast.Return) and self._name(each) == node.func.id]
            return [text for value in returned if value is not None for text in self.texts(value)]
        if isinstance(node, ast.Attribute):
            return []
        raise CannotFollowError(f"{self.place}:{node.lineno}: {ast.unparse(node)}")

    def _part(self, node: ast.expr) -> list[str]:
        if isinstance(node, ast.Constant):
            return [str(node.value)]
        assert isinstance(node, ast.FormattedValue)
        spelled = ast.unparse(node.value)
        try:
            known = self.texts(node.value) if isinstance(node.value, ast.Name) else []
        except CannotFollowError:
            known = []
        return known or [FILLED.get(spelled, "VALUE")]

    def _name(self, node: ast.AST) -> str | None:
        function = self._function(node)
        return function.name if function else None

    def _function(self, node: ast.AST) -> Function | None:
        above = self._parents.get(node)
        while above is not None and not isinstance(above, Function):
            above = self._parents.get(above)
        return above

    def _values(self, name: ast.Name) -> list[ast.expr]:
        """Return what is assigned to the name: in the function where it stands, else in the module."""
        for scope in (self._function(name), self.tree):
            nodes = list(ast.walk(scope)) if scope is not None else []
            assigned = [each.value for each in nodes if isinstance(each, ast.Assign) for target in each.targets if _is(target, name.id)]
            assigned += [value for each in nodes if isinstance(each, ast.Assign) for value in _unpacked(each, name.id)]
            if assigned:
                return assigned
            if isinstance(scope, Function) and any(argument.arg == name.id for argument in (*scope.args.args, *scope.args.kwonlyargs)):
                return []
        return []

    def _imported(self, name: str) -> list[str]:
        for each in self._nodes:
            if isinstance(each, ast.ImportFrom) and each.module and any(alias.name == name for alias in each.names):
                path = SOURCE.joinpath(*each.module.split(".")).with_suffix(".py")
                return Module(path).texts(ast.Name(name)) if path.is_file() else []
        return []


def _is(target: ast.expr, name: str) -> bool:
    return isinstance(target, ast.Name) and target.id == name


def _unpacked(node: ast.Assign, name: str) -> list[ast.expr]:
    (target, *_), value = node.targets, node.value
    if not (isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)):
        return []
    return [part for place, part in zip(target.elts, value.elts, strict=False) if _is(place, name)]


def all_hints() -> list[Hint]:
    """Return the hints of the whole package."""
    return [hint for path in sorted(SOURCE.rglob("*.py")) if "templates" not in path.parts for hint in Module(path).hints()]
