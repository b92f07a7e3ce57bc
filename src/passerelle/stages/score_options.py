"""What to score and where the result goes: known, and refused where it makes no sense, without importing what scores."""

from __future__ import annotations

from dataclasses import dataclass

from passerelle.errors import UsageError

#: Columns of the output besides those that name rows.
OUTPUT_COLUMNS = ("input", "row", "label", "probability", "review", "model_version", "prediction_id")


@dataclass(frozen=True)
class ScoreOptions:
    """What to score.

    Attributes:
        inputs: Files, folders, patterns, or `s3://BUCKET/PREFIX`.
        output: A folder, or `s3://BUCKET/PREFIX`.
        ids: Columns of the input that the output repeats.
        version: Of the registered model; None for the one in production.
        processes: How many score at once; None for one a core.
        dry_run: Whether rows are counted and nothing is scored.
    """

    inputs: tuple[str, ...]
    output: str
    ids: tuple[str, ...] = ()
    version: int | None = None
    processes: int | None = None
    dry_run: bool = False

    def check(self) -> None:
        """Check the columns that name rows.

        Raises:
            UsageError: One has the name of a column of the output, or is named twice.
        """
        taken = next((name for name in self.ids if name in OUTPUT_COLUMNS), None)
        if taken is not None:
            message = f"the output has a column « {taken} » of its own: rename that of the input, or leave out --id {taken}"
            raise UsageError(message, hint="passerelle score --help")
        if len(set(self.ids)) < len(self.ids):
            raise UsageError("--id names a column twice", hint="passerelle score --help")
