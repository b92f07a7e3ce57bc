"""The build context: the same modes under every umask, and nothing of the store changed for it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from passerelle.bentos.build import build
from passerelle.bentos.context import digest_of, readable_in_image, write_context
from passerelle.bentos.store import Store
from passerelle.settings import StoreSettings
from tests.engine_fixtures import ROOT, TAG, write_bento

pytestmark = pytest.mark.integration


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
    write_context(folder, store, TAG, wheels=None)
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


def remade(store: Store, home: Path) -> Store:
    """Return a store of the same model and code, both of which came into it at another time."""
    shutil.copytree(store.home / "models", home / "models", symlinks=True)
    described = home / "models" / TAG.name / TAG.version / "model.yaml"
    described.write_text(re.sub(r"^creation_time: .*$", "creation_time: '2020-01-01T00:00:00+00:00'", described.read_text(), flags=re.M))
    settings = StoreSettings.read(bentoml_home=home)
    build(settings, bento_model_tag=TAG, project=ROOT)
    return Store(settings)


def test_with_an_epoch_it_does_not_matter_when_model_and_bento_were_made(store: Store, tmp_path: Path) -> None:
    other = remade(store, tmp_path / "bentoml")
    described = store.home / "models" / TAG.name / TAG.version / "model.yaml"
    before = described.read_bytes()
    digests = {}
    for epoch in (1_700_000_000, None):
        for name, each in (("one", store), ("other", other)):
            folder = tmp_path / f"{name}-{epoch}"
            folder.mkdir()
            write_context(folder, each, TAG, wheels=None, epoch=epoch)
            digests[name, epoch] = digest_of(folder)
    assert digests["one", 1_700_000_000] == digests["other", 1_700_000_000]
    assert digests["one", None] != digests["other", None]
    assert described.read_bytes() == before
    at = tmp_path / "one-1700000000"
    made = [at / "bento" / "bento.yaml", at / "models" / TAG.name / TAG.version / "model.yaml"]
    assert all("creation_time: '2023-11-14T22:13:20+00:00'" in path.read_text() for path in made)
    assert all(yaml.safe_load(path.read_text())["creation_time"] == "2023-11-14T22:13:20+00:00" for path in made)


def test_scikit_learn_is_installed_for_a_model_that_is_not_compiled_and_where_it_is_asked_for(store: Store, tmp_path: Path) -> None:
    def locked(name: str, in_store: Store, **wanted: bool) -> str:
        (tmp_path / name).mkdir()
        write_context(tmp_path / name, in_store, TAG, wheels=None, **wanted)
        return (tmp_path / name / "requirements.txt").read_text()

    lean, whole = locked("lean", store), locked("whole", store, with_pipeline=True)
    shutil.copytree(store.home, tmp_path / "bentoml", symlinks=True)
    shutil.rmtree(tmp_path / "bentoml" / "models" / TAG.name / TAG.version / "mlflow_model" / "scorer")
    uncompiled = locked("uncompiled", Store(StoreSettings.read(bentoml_home=tmp_path / "bentoml")))
    assert whole == uncompiled
    pinned = {text: set(re.findall(r"^([a-z0-9.-]+)==", text, re.MULTILINE)) for text in (lean, whole)}
    assert pinned[whole] - pinned[lean] >= {"scikit-learn", "scipy", "pandas", "skops", "joblib"}
    assert pinned[lean] < pinned[whole]
    versions = {text: set(re.findall(r"^[^\s;]+==[^\s;]+", text, re.MULTILINE)) for text in (lean, whole)}
    assert versions[lean] < versions[whole], "the same versions"
