"""Every change of one place in a module: cosmic-ray's operators, and two of our own for statements that work by their effect."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from cosmic_ray.ast import Visitor, ast_nodes, get_ast
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator
from parso.python import tree

Position = tuple[int, int]

#: One counterpart for each operator: `+` to each of eleven others would count the same missing test eleven times.
CHOSEN = tuple(
    f"core/{name}"
    for name in (
        *("AddNot", "ExceptionReplacer", "NumberReplacer", "RemoveDecorator", "ZeroIterationForLoop"),
        *("ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd"),
        *("ReplaceBreakWithContinue", "ReplaceContinueWithBreak"),
        *(f"ReplaceComparisonOperator_{pair}" for pair in ("Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is")),
        *(f"ReplaceComparisonOperator_{pair}" for pair in ("Lt_LtE", "LtE_Lt", "Gt_GtE", "GtE_Gt")),
        *(f"ReplaceUnaryOperator_{pair}" for pair in ("USub_UAdd", "Delete_Invert", "Delete_Not")),
        *(f"ReplaceBinaryOperator_{pair}" for pair in ("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "FloorDiv_Mul", "Mod_Mul", "Pow_Mul")),
        *(f"ReplaceBinaryOperator_{pair}" for pair in ("RShift_LShift", "LShift_RShift", "BitOr_BitAnd", "BitAnd_BitOr", "BitXor_BitAnd")),
    )
)


class SwapAugmented(Operator):  # type: ignore[misc]
    """`+=` for `-=` and the other way round, and `*=` for `/=`."""

    _OTHER: ClassVar = {"+=": "-=", "-=": "+=", "*=": "/=", "/=": "*=", "|=": "&=", "&=": "|="}

    def mutation_positions(self, node: Any) -> Iterator[tuple[Position, Position]]:
        """Yield the place of each such operator."""
        if isinstance(node, tree.Operator) and node.value in self._OTHER:
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:  # noqa: ARG002 - there is one mutation a place
        """Return the other operator."""
        node.value = self._OTHER[node.value]
        return node

    @classmethod
    def examples(cls) -> tuple[()]:
        """Cosmic-ray's own tests take none."""
        return ()


class RemoveStatement(Operator):  # type: ignore[misc]
    """`pass` in the place of a call, an assignment to an attribute or item, `raise` and `del`: what works by its effect."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Position, Position]]:
        """Yield the place of each such statement."""
        if getattr(node.parent, "type", None) == "simple_stmt":
            called = node.type in {"atom_expr", "power"} and getattr(node.children[-1], "children", [None])[0] == "("
            stored = node.type == "expr_stmt" and node.children[0].type == "atom_expr"
            if called or stored or node.type in {"raise_stmt", "del_stmt"}:
                yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:  # noqa: ARG002 - there is one mutation a place
        """Return `pass`, after the same white space."""
        return tree.Keyword("pass", node.start_pos, prefix=node.get_first_leaf().prefix)

    @classmethod
    def examples(cls) -> tuple[()]:
        """Cosmic-ray's own tests take none."""
        return ()


OPERATORS: dict[str, Operator] = {name.removeprefix("core/"): get_operator(name)() for name in CHOSEN} | {
    "SwapAugmented": SwapAugmented(),
    "RemoveStatement": RemoveStatement(),
}


@dataclass(frozen=True)
class Mutant:
    """One change of one file.

    Attributes:
        line: Where it is, and what stands there.
        occurrence: Of the operator in the file.
    """

    path: Path
    operator: str
    occurrence: int
    line: int
    text: str

    def source(self) -> str:
        """Return the changed file."""
        code = _Changed(OPERATORS[self.operator], self.occurrence).walk(get_ast(self.path.read_text(encoding="utf-8"))).get_code()
        return str(code)


class _Changed(Visitor):  # type: ignore[misc]
    def __init__(self, operator: Operator, occurrence: int) -> None:
        self._operator, self._left = operator, occurrence

    def visit(self, node: Any) -> Any:
        for index, _ in enumerate(list(self._operator.mutation_positions(node))):
            if self._left == 0:
                node = self._operator.mutate(node, index)
            self._left -= 1
        return node


def mutants_of(path: Path, equivalent: list[re.Pattern[str]]) -> Iterator[Mutant]:
    """Yield all mutants of a file, but none in an annotation or on a line that is listed as equivalent."""
    source = path.read_text(encoding="utf-8")
    lines, annotations, nodes = source.splitlines(), list(_annotations(source)), list(ast_nodes(get_ast(source)))
    for name, operator in OPERATORS.items():
        places = [(node, place) for node in nodes for place, _ in operator.mutation_positions(node)]
        for occurrence, (node, place) in enumerate(places):
            text = lines[place[0] - 1].strip()
            evaluated = getattr(node.parent, "type", "") != "parameters" and not any(begin <= place < end for begin, end in annotations)
            if evaluated and not any(each.search(text) for each in equivalent):
                yield Mutant(path, name, occurrence, place[0], text)


def _annotations(source: str) -> Iterator[tuple[Position, Position]]:
    for node in ast.walk(ast.parse(source)):
        given = [getattr(node, name, None) for name in ("annotation", "returns")]
        for each in given:
            if isinstance(each, ast.expr):
                yield (each.lineno, each.col_offset), (each.end_lineno or 0, each.end_col_offset or 0)
