"""Whatever is raised while a model is loaded, the worker lives, says why without quoting a record, and is not ready."""

from __future__ import annotations

import asyncio
import errno
import json
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bentoml.exceptions import BentoMLException, NotFound

from passerelle.errors import DataError, SettingsError
from passerelle.model import loaded as loading
from passerelle.names import MODEL_FOLDER, SCORER_FOLDER
from passerelle.serving.contract import RequestError
from passerelle.serving.failure import plain_errors
from passerelle.serving.runtime import Runtime
from passerelle.settings import ServiceSettings
from tests.unit.serving.models import text_bento_model, vouched

SECRET = "Madame Dupont, 3 rue des Lilas"


class PanicError(BaseException):
    """As a package written in Rust raises it."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return text_bento_model(tmp_path_factory.mktemp("whole") / "test" / "7-00000000")


def refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Load the model, check that the worker lives and is not ready, and return what it printed."""
    runtime = Runtime.or_refused(folder, ServiceSettings.read())
    runtime.load_or_refuse()
    said = capsys.readouterr().err
    assert runtime.readiness() == {"ready": False, "model_version": None, "reason": "model_refused"}
    with pytest.raises(RequestError, match="the model is refused") as raised:
        asyncio.run(runtime.classify({"text": "un grand merci"}))
    assert raised.value.status == 503
    assert said.startswith("the model is refused: ")
    _, first, *others = said.splitlines()
    assert first.startswith("  next: ")
    assert all(line.startswith("    or: ") for line in others)
    assert SECRET not in said
    return said


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ModuleNotFoundError(f"No module named {SECRET}", name="sklearn"), "the package sklearn cannot be imported.*--with-pipeline"),
        (ModuleNotFoundError(SECRET, name="mmh3"), "the package mmh3 cannot be imported.*pip install --require-hashes"),
        (ImportError(SECRET), "a package cannot be imported"),
        (DataError("The field holds no text."), "no text. +next: bentoml models delete"),
        (DataError("The field holds no text.", hint="another"), "no text. +next: another"),
        (MemoryError(SECRET), "not enough memory.*PASSERELLE_WORKERS=1"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "not enough memory"),
        (PermissionError(errno.EACCES, "Permission denied", "/models/table.npy"), "PermissionError: Permission denied /models/table.npy"),
        (OSError(SECRET), "OSError in .*test_loading_failures.py, line"),
        (KeyError(SECRET), "KeyError in .*test_loading_failures.py, line .* broken"),
        (struct.error(SECRET), "error in"),
        (RecursionError(SECRET), "RecursionError in"),
        (UnicodeEncodeError("utf-8", SECRET, 0, 1, "surrogates not allowed"), "UnicodeEncodeError in"),
        (AssertionError(SECRET), "AssertionError in"),
        (PanicError(SECRET), "PanicError in .*bentoml models delete test:7-00000000 --yes; passerelle import"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_an_error_of_any_kind(
    whole: Path, error: BaseException, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(loading, "load_model", broken)
    said = refused(whole, capsys)
    assert re.search(words, said.replace("\n", " ")), said


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_end_that_was_asked_for_is_one(whole: Path, error: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(loading, "load_model", ended)
    with pytest.raises(error):
        Runtime(whole, ServiceSettings.read()).load_or_refuse()


def _index(scorer: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads((scorer / "scorer.json").read_text())
    change(content)
    (scorer / "scorer.json").write_text(json.dumps(content))


def _strings(scorer: Path) -> None:
    np.save(scorer / "intercepts.npy", np.array(["a", "b", "c"]))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "an index nested too deeply": lambda scorer: (scorer / "scorer.json").write_text("[" * 200_000),
    "a link without a name": lambda scorer: _index(scorer, lambda content: content["head"]["link"].pop("kind")),
    "fewer shapes than sections": lambda scorer: _index(scorer, lambda content: content["rows"].update(shapes=[])),
    "a class too few": lambda scorer: _index(scorer, lambda content: content["head"]["classes"].pop()),
    "a pattern that is none": lambda scorer: _index(scorer, lambda content: content["sections"][0]["analyzer"].update(tokens="(")),
    "an unknown way of stripping accents": lambda scorer: _index(
        scorer, lambda content: content["sections"][0]["analyzer"].update(accents="x")
    ),
    "text instead of numbers": _strings,
    "a table cut off": lambda scorer: (scorer / "table.npy").write_bytes((scorer / "table.npy").read_bytes()[:130]),
    "no terms": lambda scorer: (scorer / "terms-1.json").unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_scorer(whole: Path, damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "test" / "7-00000000"
    shutil.copytree(whole, folder)
    DAMAGES[damage](folder / MODEL_FOLDER / SCORER_FOLDER)
    refused(vouched(folder), capsys)


def test_a_lineage_whose_date_is_none(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "test" / "7-00000000"
    shutil.copytree(whole, folder)
    said = refused(vouched(folder, created="yesterday"), capsys)
    assert "ValueError in" in said


def test_a_model_that_cannot_be_described(whole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from passerelle.serving import runtime

    def broken(_: Path) -> None:
        raise ZeroDivisionError(SECRET)

    monkeypatch.setattr(runtime, "describe", broken)
    assert "ZeroDivisionError in" in refused(whole, capsys)


def test_what_stops_a_service_from_starting_is_a_sentence_and_a_command() -> None:
    with pytest.raises(BentoMLException, match=r"^the setting X is not usable\n  next: unset X$"), plain_errors():
        raise SettingsError("the setting X is not usable", hint="unset X")
    with pytest.raises(BentoMLException, match=r"^no such model\n  next: passerelle import"), plain_errors():
        raise NotFound("no such model")
