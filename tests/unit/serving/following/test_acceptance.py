"""Which records a version must take, and what it needs of the service's environment."""

from __future__ import annotations

import errno
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from passerelle.model.mlmodel import describe
from passerelle.model.record import Column
from passerelle.names import MODEL_FOLDER, SCORER_FOLDER
from passerelle.serving.following.acceptance import accepted, check_columns, check_environment
from passerelle.serving.following.failures import VersionRefusedError
from tests.signing_fixtures import make_keys
from tests.unit.serving.models import vouched

TEXT = Column("text", "string")


@pytest.mark.parametrize(
    "offered",
    [
        [TEXT],
        [TEXT, Column("age", "long", required=False)],
    ],
)
def test_a_version_may_take_more_than_the_service_is_sent(offered: list[Column]) -> None:
    check_columns([TEXT], offered)


@pytest.mark.parametrize(("served", "wider"), [("integer", "long"), ("float", "double"), ("long", "long")])
def test_a_type_may_get_wider(served: Any, wider: Any) -> None:
    check_columns([Column("age", served)], [Column("age", wider)])


@pytest.mark.parametrize(
    ("served", "offered", "problem"),
    [
        ([TEXT], [], "'text' is missing"),
        ([TEXT], [Column("text", "double")], "'text' is double, and was string"),
        ([Column("age", "long")], [Column("age", "integer")], "'age' is integer, and was long"),
        ([Column("text", "string", required=False)], [TEXT], "'text' is required, and was optional"),
        ([TEXT], [TEXT, Column("age", "long")], "'age' is required, and the service's clients do not send it"),
    ],
)
def test_a_version_that_takes_less_is_refused(served: list[Column], offered: list[Column], problem: str) -> None:
    with pytest.raises(VersionRefusedError) as refused:
        check_columns(served, offered)
    assert refused.value.code == "schema"
    assert problem in refused.value.message


def mlmodel(folder: Path, *, python: str = "3.11.4", sklearn: str = "1.0.0", compiled: bool = False) -> Path:
    (folder / "scorer").mkdir(parents=True) if compiled else folder.mkdir(parents=True)
    (folder / "model.skops").write_bytes(b"")
    inputs = json.dumps([{"name": "text", "type": "string", "required": True}])
    entry = {"pickled_model": "model.skops", "serialization_format": "skops", "sklearn_version": sklearn}
    content = {"flavors": {"sklearn": entry, "python_function": {"python_version": python}}, "signature": {"inputs": inputs}}
    (folder / "MLmodel").write_text(yaml.safe_dump(content))
    return folder


def test_a_newer_python_is_refused(tmp_path: Path) -> None:
    newer = f"{sys.version_info.major}.{sys.version_info.minor + 1}.0"
    with pytest.raises(VersionRefusedError) as refused:
        check_environment(mlmodel(tmp_path / "m", python=newer))
    assert refused.value.code == "python"
    assert f"asks for Python {newer}" in refused.value.message


def test_another_scikit_learn_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VersionRefusedError) as refused:
        check_environment(mlmodel(tmp_path / "m"))
    assert refused.value.code == "libraries"
    assert "made by scikit-learn 1.0.0" in refused.value.message


def test_a_compiled_version_needs_neither(tmp_path: Path) -> None:
    check_environment(mlmodel(tmp_path / "m", python="99.0", compiled=True))


def test_a_version_of_another_task_is_refused(versions: dict[int, Path]) -> None:
    with pytest.raises(VersionRefusedError) as refused:
        accepted(versions[1], describe(versions[1] / MODEL_FOLDER), "comments", {"task": "languages"}, most_cpu_ms=100)
    assert refused.value.code == "task"


def test_a_slow_version_is_refused_by_its_processor_time(versions: dict[int, Path]) -> None:
    with pytest.raises(VersionRefusedError) as refused:
        accepted(versions[1], describe(versions[1] / MODEL_FOLDER), None, {}, most_cpu_ms=1e-9)
    assert refused.value.code == "latency"


def other_golden(folder: Path) -> None:
    golden = json.loads((folder / "golden.json").read_text())
    (folder / "golden.json").write_text(json.dumps({**golden, "labels": golden["labels"][::-1]}))


def no_golden(folder: Path) -> None:
    (folder / "golden.json").write_text("{}")


def damaged_scorer(folder: Path) -> None:
    for path in (folder / MODEL_FOLDER / SCORER_FOLDER).glob("*.npy"):
        np.save(path, np.zeros(3))


def damaged_mlmodel(folder: Path) -> None:
    (folder / MODEL_FOLDER / "MLmodel").write_text("flavors: [")


def pickled(folder: Path) -> None:
    path = folder / MODEL_FOLDER / "MLmodel"
    path.write_text(path.read_text().replace("serialization_format: skops", "serialization_format: cloudpickle"))


def refusal(whole: Path, folder: Path, change: Callable[[Path], None] | None = None) -> VersionRefusedError:
    """Return why a version is refused whose files were changed before it was registered."""
    shutil.copytree(whole, folder)
    served = describe(folder / MODEL_FOLDER)
    if change is not None:
        change(folder)
    with pytest.raises(VersionRefusedError) as refused:
        accepted(vouched(folder), served, None, {}, most_cpu_ms=100)
    return refused.value


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (other_golden, "golden"),
        (no_golden, "damaged_file"),
        (damaged_scorer, "damaged_file"),
        (damaged_mlmodel, "damaged_file"),
        (pickled, "untrusted_type"),
    ],
)
def test_each_cause_has_a_code_of_its_own(versions: dict[int, Path], tmp_path: Path, change: Callable[[Path], None], code: str) -> None:
    assert refusal(versions[1], tmp_path / "m", change).code == code


def test_a_file_that_was_changed_after_registration_is_refused_by_its_digest(versions: dict[int, Path], tmp_path: Path) -> None:
    shutil.copytree(versions[1], tmp_path / "m")
    other_golden(tmp_path / "m")
    with pytest.raises(VersionRefusedError) as refused:
        accepted(tmp_path / "m", describe(versions[1] / MODEL_FOLDER), None, {}, most_cpu_ms=100)
    assert refused.value.code == "digest"


def test_a_version_that_is_not_signed_is_refused_by_its_signature(
    versions: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSERELLE_VERIFY_KEY", str(make_keys(tmp_path, "ours").public))
    assert refusal(versions[1], tmp_path / "m").code == "signature"


@pytest.mark.parametrize("error", [OSError(errno.ENOMEM, "Cannot allocate memory"), MemoryError()])
def test_a_scorer_that_finds_no_memory_may_be_loaded_later(
    versions: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def load(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(np, "load", load)
    refused = refusal(versions[1], tmp_path / "m")
    assert (refused.code, refused.hint) == ("resources", "PASSERELLE_WORKERS=1 passerelle deploy")
