"""What to score and where the result goes: known, and refused where it makes no sense, without importing what scores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from passerelle.batch.ray_cluster import check_address
from passerelle.errors import NotFoundError, UsageError, shell_word

#: What an address in S3 begins with.
S3 = "s3://"
#: What a pattern holds one of.
WILDCARDS = "*?["
#: Columns of the output besides those that name rows.
OUTPUT_COLUMNS = ("input", "row", "label", "probability", "review", "prediction", "labels", "model_version", "prediction_id")

#: What the output's name ends in where its files are not Parquet.
OUTPUT_FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}


@dataclass(frozen=True)
class ScoreOptions:
    """What to score.

    Attributes:
        inputs: Files, folders, patterns, or `s3://BUCKET/PREFIX`.
        output: A folder, or `s3://BUCKET/PREFIX`; the end of its name decides about the format of the files.
        ids: Columns of the input that the output repeats.
        version: Of the registered model; None for the one in production.
        processes: How many score at once; None for one a core.
        address: Of the Ray cluster that scores; None for processes of this machine.
        versions: Two versions or aliases, with a comma between, that are compared in the place of scoring; None for none.
        dry_run: Whether rows are counted and nothing is scored.
    """

    inputs: tuple[str, ...]
    output: str
    ids: tuple[str, ...] = ()
    version: int | None = None
    processes: int | None = None
    address: str | None = None
    versions: str | None = None
    dry_run: bool = False

    def check(self) -> None:
        """Check the places of this machine, the columns that name rows, and the versions.

        Raises:
            NotFoundError: An input does not exist.
            UsageError: A column has the name of one of the output, or is named twice; or the versions are not two.
        """
        self._check_places()
        if self.versions is not None:
            _ = self.two_versions
            if self.version is not None or self.ids or self.address is not None:
                message = "--versions compares two versions and takes none of --version, --id and --address"
                raise UsageError(message, hint="passerelle score --help")
        if self.address is not None:
            check_address(self.address)
        taken = next((name for name in self.ids if name in OUTPUT_COLUMNS), None)
        if taken is not None:
            message = f"the output has a column '{taken}' of its own: rename that of the input, or leave out --id {taken}"
            raise UsageError(message, hint="passerelle score --help")
        if len(set(self.ids)) < len(self.ids):
            raise UsageError("--id names a column twice", hint="passerelle score --help")

    def _check_places(self) -> None:
        for each in self.inputs:
            path = Path(each)
            if not each.startswith(S3) and not any(sign in each for sign in WILDCARDS) and not path.exists():
                raise NotFoundError(f"{each} does not exist", hint=f"ls -ld {shell_word(path.parent)}")
        path = Path(self.output)
        if not self.output.startswith(S3) and path.exists() and not path.is_dir():
            raise UsageError(f"{path} is a file; --output names a folder", hint=f"ls -l {shell_word(path)}")

    @property
    def output_format(self) -> str:
        """The format of the scored files; Parquet unless the output's name ends in that of another."""
        return OUTPUT_FORMATS.get(PurePosixPath(self.output).suffix.lower(), "parquet")

    @property
    def two_versions(self) -> tuple[str, str]:
        """The versions or aliases that are compared.

        Raises:
            UsageError: They are not two.
        """
        names = [name.strip() for name in (self.versions or "").split(",")]
        if len(names) != 2 or not all(names):  # noqa: PLR2004 - a pair
            message = f"'{self.versions}' does not name two versions"
            raise UsageError(message, hint="passerelle score --versions production,candidate --input INPUT --output OUTPUT")
        return names[0], names[1]
