"""The result for a pipeline that cannot be compiled exactly."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NotCompilable:
    """The part that prevents compiling and the reason; the pipeline itself must answer.

    Attributes:
        part: The step's path in the pipeline and its type, such as `features.words (TfidfVectorizer)`.
        why: One sentence for an operator.
    """

    part: str
    why: str


class Refusal(Exception):  # noqa: N818 - not an error: the way a nested step says no to `compile_pipeline`, which catches it
    """Carries a NotCompilable from the step that refuses to the caller."""

    def __init__(self, part: str, why: str) -> None:
        super().__init__(f"{part}: {why}")
        self.verdict = NotCompilable(part, why)


def named(path: str, step: object) -> str:
    """Return how a verdict names a step: its path in the pipeline and its type."""
    return f"{path} ({type(step).__name__})" if path else type(step).__name__
