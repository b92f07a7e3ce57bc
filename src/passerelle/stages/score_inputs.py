"""The files that --input names: files, folders and patterns, on a disk or in S3."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from passerelle.batch.table_file import FORMATS, LocalFile, LocalFolder, OutputFolder, TableFile
from passerelle.errors import NotFoundError, UsageError, shell_word
from passerelle.registry.table_bucket import TableBucket, TableObject
from passerelle.settings import S3Settings
from passerelle.stages.score_options import S3, WILDCARDS

_COMPRESSED = {".gz", ".bz2", ".xz", ".zst", ".zip"}


def table_files(inputs: Sequence[str], s3: S3Settings, *, output: str = "") -> tuple[TableFile, ...]:
    """Return the files of the input, each once, in the order of their names.

    Args:
        inputs: Paths, folders, patterns, or addresses in S3.
        s3: How S3 is reached.
        output: Place of the result, whose files are no input, even where a folder of the input holds it.

    Raises:
        NotFoundError: One names no table.
        UsageError: One names a file that is no table by its end.
        OutsideError: S3 does not answer, or refuses the keys.
    """
    found: dict[str, TableFile] = {}
    for each in inputs:
        listed: Iterator[TableFile] = _objects(each, s3) if each.startswith(S3) else _local(each)
        files = [file for file in listed if not _lies_in(file.name, output)]
        if not files:
            raise NotFoundError(f"{each} names no table: a table ends in {', '.join(FORMATS)}", hint=_lists(each))
        found.update({file.name: file for file in files})
    return tuple(found[name] for name in sorted(found))


def _lists(given: str) -> str:
    """Return the command that lists what lies where an input should."""
    if given.startswith(S3):
        return "passerelle score --help"
    path = Path(given)
    folder = next(each for each in (path, *path.parents) if not any(sign in str(each) for sign in WILDCARDS))
    return f"ls -l {shell_word(folder)}"


def output_folder(place: str, s3: S3Settings) -> OutputFolder:
    """Return the folder, or the place in S3, that gets the result."""
    if not place.startswith(S3):
        path = Path(place)
        if path.exists() and not path.is_dir():
            raise UsageError(f"{path} is a file; --output names a folder", hint=f"ls -l {shell_word(path)}")
        return LocalFolder(path)
    bucket, key = bucket_and_key(place)
    return TableBucket(s3.model_copy(update={"bucket": bucket}), key)


def _lies_in(name: str, folder: str) -> bool:
    if not folder or name.startswith(S3) or folder.startswith(S3):
        return bool(folder) and name.startswith(folder.rstrip("/") + "/")
    return Path(name).resolve().is_relative_to(Path(folder).resolve())


def _is_table(name: str) -> bool:
    """Return whether a file is a table by its name.

    Raises:
        UsageError: It is a compressed one: to leave it out would lose its rows.
    """
    path = PurePosixPath(name)
    if path.suffix.lower() in _COMPRESSED and PurePosixPath(path.stem).suffix.lower() in FORMATS:
        raise UsageError(f"{name} is compressed, which is not read: uncompress it first", hint="passerelle score --help")
    return path.suffix.lower() in FORMATS


def _local(given: str) -> Iterator[LocalFile]:
    path = Path(given)
    if path.is_dir():
        yield from (LocalFile.at(each) for each in sorted(path.rglob("*")) if each.is_file() and _is_table(each.name))
    elif path.exists():
        _check_end(given)
        yield LocalFile.at(path)
    elif any(sign in given for sign in WILDCARDS):
        yield from (LocalFile.at(Path(each)) for each in sorted(glob.glob(given, recursive=True)) if _is_table(each))  # noqa: PTH207 - Path.glob takes no absolute pattern
    else:
        raise NotFoundError(f"{given} does not exist", hint=f"ls -ld {shell_word(path.parent)}")


def _check_end(name: str) -> None:
    if not _is_table(name):
        raise UsageError(f"{name} is no table by its name: a table ends in {', '.join(FORMATS)}", hint="passerelle score --help")


def _objects(given: str, s3: S3Settings) -> Iterator[TableObject]:
    bucket, key = bucket_and_key(given)
    begin = min((key.index(sign) for sign in WILDCARDS if sign in key), default=len(key))
    place = TableBucket(s3.model_copy(update={"bucket": bucket}), "")
    matches: Callable[[str], bool] = (lambda name: fnmatchcase(name, key)) if begin < len(key) else _below(key)
    for each in place.objects(key[:begin]):
        if each.key == key:
            _check_end(given)
        if matches(each.key) and _is_table(each.key):
            yield each


def _below(key: str) -> Callable[[str], bool]:
    """Return whether a key is this one, or lies in the folder of this name."""
    folder = key.rstrip("/") + "/" if key.strip("/") else ""
    return lambda name: name == key or name.startswith(folder)


def bucket_and_key(given: str, hint: str = "passerelle score --help") -> tuple[str, str]:
    """Return the bucket and the key, or what keys begin with, of an address in S3.

    Raises:
        UsageError: It names no bucket.
    """
    bucket, _, key = given.removeprefix(S3).partition("/")
    if not bucket:
        raise UsageError(f"{given} names no bucket: s3://BUCKET/PREFIX", hint=hint)
    return bucket, key
