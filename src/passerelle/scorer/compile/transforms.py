"""The effect of scalers, weights and norms on sections, or why one of them cannot be compiled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from passerelle.scorer.compile.refusal import Refusal
from passerelle.scorer.sections import BINARY, COUNT, SUBLINEAR, Norm, Section


def binarize(section: Section) -> None:
    """Make every stored count a 1."""
    section.shape = BINARY


def take_log(sections: Sequence[Section], part: str) -> None:
    """Replace counts by 1 + log(count)."""
    for section in sections:
        if not section.untouched or section.shape == SUBLINEAR:
            raise Refusal(part, "sublinear_tf on values that are no longer counts")
        if section.signed:
            raise Refusal(part, "sublinear_tf on signed hashes (alternate_sign=True) has no logarithm")
        if section.shape == COUNT:
            section.shape = SUBLINEAR


def multiply(sections: Sequence[Section], factors: ArrayLike, part: str) -> None:
    """Multiply the columns, in order, by these factors (or all by one number)."""
    total = sum(section.width for section in sections)
    factors = np.asarray(factors, dtype=np.float64)
    if factors.ndim and factors.shape != (total,):
        raise Refusal(part, f"{factors.shape} factors do not fit {total} columns")
    factors = np.broadcast_to(factors, (total,))
    start = 0
    for section in sections:
        section.scale = section.scale * factors[start : start + section.width]
        start += section.width


def normalize(sections: Sequence[Section], order: str | None, part: str) -> None:
    """Divide each row by its norm over these sections."""
    if order is None:
        return
    if order not in {"l1", "l2"}:
        raise Refusal(part, f"norm={order!r} is not compiled, only l1 and l2 are")
    for section in sections:
        if len(sections) == 1 and section.union is None:
            section.own = Norm(order, section.scale)
        else:
            section.union = Norm(order, section.scale)


def join(groups: Sequence[Sequence[Section]], part: str) -> list[Section]:
    """Return the sections of several groups side by side."""
    if len(groups) > 1 and any(section.union is not None for group in groups for section in group):
        raise Refusal(part, "a norm over several vectorizers inside one branch of a union")
    return [section for group in groups for section in group]
