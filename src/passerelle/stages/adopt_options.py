"""What a person says of a model that the model does not say itself."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from passerelle.errors import NotFoundError, UsageError, shell_word
from passerelle.yaml_text import YamlFault, parse_yaml

_PARTS = ("inputs", "outputs", "params")
_MOST_BYTES = 64 << 20


@dataclass(frozen=True)
class AdoptOptions:
    """The options of `adopt`.

    Attributes:
        signature: File with the signature, as MLflow's `ModelSignature.to_dict` gives it; JSON or YAML.
        text_column: Name of the one text column of a model whose signature has no names.
        labels: JSON file: the name of each label, by the label.
        drop_columns: Columns of the signature that no record has.
        examples: CSV, Parquet or JSON file with the inputs of the golden predictions.
        overrides: Requirements that replace those of the model, such as `numpy==1.26.4`.
        python: Version of Python in place of the one that the model names, such as `3.11`.
    """

    signature: Path | None = None
    text_column: str | None = None
    labels: Path | None = None
    drop_columns: tuple[str, ...] = ()
    examples: Path | None = None
    overrides: tuple[str, ...] = ()
    python: str | None = None

    @property
    def given(self) -> bool:
        """Whether any option is given."""
        return self != AdoptOptions()

    @property
    def typed(self) -> str:
        """The options as they are typed, with a space in front of each."""
        once = {"signature": self.signature, "text-column": self.text_column, "labels": self.labels, "examples": self.examples}
        named = [(name, value) for name, value in {**once, "python": self.python}.items() if value is not None]
        named += [("drop-column", each) for each in self.drop_columns] + [("override", each) for each in self.overrides]
        return "".join(f" --{name} {shlex.quote(str(value))}" for name, value in named)

    @property
    def digest(self) -> str:
        """Digest of the options, with the contents of the files that they name.

        Raises:
            NotFoundError: One of the files is missing.
        """
        files = {name: path and hashlib.sha256(read_file(path)).hexdigest() for name, path in self._files().items()}
        content = {
            **files, "text_column": self.text_column, "drop_columns": sorted(self.drop_columns), "overrides": sorted(self.overrides),
            "python": self.python,
        }  # fmt: skip
        return "sha256:" + hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()

    def check(self) -> None:
        """Check that the options fit each other, and that their files are there.

        Raises:
            UsageError: Two of them say the same thing.
            NotFoundError: A file is missing.
        """
        if self.signature is not None and self.text_column is not None:
            raise UsageError("--signature and --text-column both say what the columns are: give one of the two")
        for path in self._files().values():
            if path is not None:
                read_file(path)

    def _files(self) -> dict[str, Path | None]:
        return {"signature": self.signature, "labels": self.labels, "examples": self.examples}


def one_text(columns: Sequence[str], address: str) -> str | None:
    """Return the one text column that was named, or None.

    Raises:
        UsageError: Several were.
    """
    if len(columns) > 1:
        message = f"--text-column names {len(columns)} columns, and is for a model that takes one text: a signature names several"
        raise UsageError(message, hint=f"passerelle adopt {shell_word(address)} --signature FILE")
    return columns[0] if columns else None


def read_file(path: Path) -> bytes:
    """Return the content of a file that an option names.

    Raises:
        NotFoundError: It is not there.
        UsageError: It is too large.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UsageError(f"{path} is larger than {_MOST_BYTES >> 20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise NotFoundError(f"the file {path} cannot be read: {error.strerror}", hint="passerelle adopt --help") from error


def read_signature_file(path: Path) -> dict[str, str]:
    """Return a signature in the form of an MLmodel file: each part a JSON text.

    Raises:
        UsageError: The file holds none.
    """
    content = _mapping(path)
    content = content.get("signature", content) if isinstance(content.get("signature"), dict) else content
    parts = {name: content[name] for name in _PARTS if content.get(name)}
    if "inputs" not in parts:
        raise UsageError(f'{path} holds no signature: it needs inputs, such as {{"inputs": [{{"name": "text", "type": "string"}}]}}')
    return {name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for name, value in parts.items()}


def read_labels_file(path: Path) -> dict[str, str]:
    """Return the name of each label, by the label as JSON; a list names the labels 0, 1, 2 and so on.

    Raises:
        UsageError: The file holds no such names.
    """
    try:
        content = json.loads(read_file(path))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no JSON file of labels") from error
    if isinstance(content, list):
        content = dict(enumerate(content))
    if not isinstance(content, dict) or not content or not all(isinstance(name, str) for name in content.values()):
        raise UsageError(f'{path} names no labels: a list of names, or an object such as {{"0": "refused", "1": "accepted"}}')
    return {_as_json(str(label)): name for label, name in content.items()}


def _as_json(label: str) -> str:
    """Return a label of a file, where each key is a text, as JSON: a number or true stays what it is."""
    try:
        json.loads(label)
    except ValueError:
        return json.dumps(label, ensure_ascii=False)
    return label


def _mapping(path: Path) -> Mapping[str, Any]:
    try:
        content = parse_yaml(read_file(path))
    except YamlFault as error:
        raise UsageError(f"{path} is neither JSON nor YAML: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{path} holds no signature")
    return content
