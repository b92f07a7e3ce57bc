"""The build context: the same modes under every umask, and nothing of the store changed for it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from passerelle.bentos.context import digest_of, readable_in_image, write_context
from passerelle.bentos.store import Store
from passerelle.settings import StoreSettings
from tests.engine_fixtures import TAG, write_bento


@contextmanager
def umask(mask: int) -> Iterator[None]:
    former = os.umask(mask)
    try:
        yield
    finally:
        os.umask(former)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(write_bento(tmp_path_factory.mktemp("context") / "bentoml"))


def written(store: Store, folder: Path) -> dict[str, int]:
    """Write a context and return the modes in it."""
    folder.mkdir()
    write_context(folder, store=store, bento_tag=TAG, wheels=None)
    (folder / "sbom.cdx.json").write_text("{}")
    readable_in_image(folder)
    return {path.relative_to(folder).as_posix(): path.stat().st_mode & 0o7777 for path in folder.rglob("*")}


def test_every_umask_gives_the_same_modes_and_the_same_digest(store: Store, tmp_path: Path) -> None:
    found = {}
    for mask in (0o077, 0o002, 0o022):
        with umask(mask):
            modes = written(store, tmp_path / f"{mask:o}")
        wrong = {name: oct(mode) for name, mode in modes.items() if mode != (0o755 if (tmp_path / f"{mask:o}" / name).is_dir() else 0o644)}
        assert not wrong
        found[mask] = digest_of(tmp_path / f"{mask:o}")
    assert len(set(found.values())) == 1


def test_the_files_of_the_store_keep_their_modes(store: Store, tmp_path: Path) -> None:
    shutil.copytree(store.home, tmp_path / "bentoml", symlinks=True)
    private = tmp_path / "bentoml" / "models" / TAG.name / TAG.version / "golden.json"
    private.chmod(0o600)
    modes = written(Store(StoreSettings.read(bentoml_home=tmp_path / "bentoml")), tmp_path / "context")
    assert modes[f"models/{TAG.name}/{TAG.version}/golden.json"] == 0o644
    assert private.stat().st_mode & 0o777 == 0o600
    linked = tmp_path / "context" / "models" / TAG.name / TAG.version / "manifest.json"
    assert linked.stat().st_nlink == 2, "what has its mode already is not copied"


def test_a_mode_counts_in_the_digest(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "file").chmod(0o644)
    before = digest_of(tmp_path)
    (tmp_path / "file").chmod(0o600)
    assert digest_of(tmp_path) != before
