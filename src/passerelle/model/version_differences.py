"""Where two versions of a registered model label the rows of a table differently."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

#: Most rows that are quoted.
MOST_EXAMPLES = 12


@dataclass(frozen=True)
class PairCount:
    """How many rows got these two labels, the first of the version that is compared with."""

    former: str
    new: str
    rows: int


@dataclass(frozen=True)
class DifferentRow:
    """One row that got two labels; its texts are redacted and cut."""

    input: str
    row: int
    text: str
    former: str
    new: str


@dataclass(frozen=True)
class VersionDifferences:
    """The labels of two versions for the same rows.

    Attributes:
        former: The version that is compared with, which is in production as a rule.
        new: The other one.
        rows: How many rows both scored.
        different: How many of them got two labels.
        refused_rows: How many rows neither scored, since the service would refuse them.
        pairs: Of labels that differ, the most frequent first.
        examples: Some of the rows.
        identities: Run and digest of both, as `RUN DIGEST`: a number alone names no version for ever. Empty in what was stored earlier.
    """

    registered_model: str
    former: int
    new: int
    rows: int
    different: int
    refused_rows: int
    pairs: tuple[PairCount, ...]
    examples: tuple[DifferentRow, ...]
    identities: tuple[str, ...] = ()

    def content(self) -> dict[str, Any]:
        """Return it as it is stored."""
        return asdict(self)

    @classmethod
    def parse(cls, content: Mapping[str, Any]) -> VersionDifferences:
        """Return what was stored.

        Raises:
            ValueError: It is something else.
        """
        try:
            numbers = {name: int(content[name]) for name in ("former", "new", "rows", "different", "refused_rows")}
            pairs = tuple(PairCount(str(each["former"]), str(each["new"]), int(each["rows"])) for each in _list(content["pairs"]))
            examples = tuple(
                DifferentRow(str(each["input"]), int(each["row"]), str(each["text"]), str(each["former"]), str(each["new"]))
                for each in _list(content["examples"])
            )
            identities = tuple(str(each) for each in content.get("identities", ()))
        except (KeyError, TypeError) as error:
            raise ValueError(f"{error} is missing or of another type") from error
        name = str(content.get("registered_model", ""))
        return cls(name, **numbers, pairs=pairs, examples=examples[:MOST_EXAMPLES], identities=identities)


def _list(value: Any) -> Iterable[Mapping[str, Any]]:
    if not isinstance(value, list | tuple):
        raise TypeError(type(value).__name__)
    return value
