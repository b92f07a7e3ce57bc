"""What is downloaded of a version: in one request where it has a bundle, and nothing that its manifest does not vouch for."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from os import pardir
from pathlib import Path
from typing import NamedTuple

import pytest

from passerelle.model.loaded import load_model
from passerelle.names import ARTIFACT_DIGEST, BUNDLE, MANIFEST
from passerelle.serving.following.download import Download
from passerelle.serving.following.failures import NotReachedError, VersionRefusedError
from passerelle.serving.following.mlflow_rest import MlflowRest
from tests.unit.serving.following.registry_double import ALIAS, NAME, RegistryDouble

RUN = "1" * 32


def download(registry: RegistryDouble, folder: Path, *, most_bytes: int = 10**9) -> Path:
    mlflow = MlflowRest(registry.settings(folder))
    version = mlflow.aliased(NAME, ALIAS)
    assert version is not None
    Download(mlflow, version, version.tags[ARTIFACT_DIGEST], folder / "version", most_bytes).run()
    return folder / "version"


def loads(folder: Path, of: Path) -> None:
    shutil.copyfile(of / "lineage.json", folder / "lineage.json")
    assert load_model(folder, scorer_alone=True).version == "1"


def refusal(registry: RegistryDouble, folder: Path, **given: int) -> VersionRefusedError:
    with pytest.raises(VersionRefusedError) as refused:
        download(registry, folder, **given)
    return refused.value


def test_a_version_with_a_bundle_takes_one_request(registry: RegistryDouble, versions: dict[int, Path], tmp_path: Path) -> None:
    folder = download(registry, tmp_path)
    assert registry.asked[1:] == [BUNDLE]
    assert not (folder / "mlflow_model" / "model.skops").exists()
    loads(folder, versions[1])


def test_a_version_without_a_bundle_is_taken_file_by_file(registry: RegistryDouble, versions: dict[int, Path], tmp_path: Path) -> None:
    del registry.artifacts[RUN, BUNDLE]
    folder = download(registry, tmp_path)
    assert MANIFEST in registry.asked
    assert "model.skops" not in registry.asked
    loads(folder, versions[1])


class Broken(NamedTuple):
    """A bundle, spoilt."""

    name: str
    content: bytes


def archive(*members: tuple[str, bytes]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.USTAR_FORMAT) as made:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            made.addfile(entry, io.BytesIO(content))
    return target.getvalue()


def link() -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.USTAR_FORMAT) as made:
        entry = tarfile.TarInfo("manifest.json")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        made.addfile(entry)
    return target.getvalue()


@pytest.mark.parametrize(
    "bundle",
    [
        b"",
        b"not an archive",
        archive(("manifest.json", b"{}")),
        archive((f"{pardir}/{pardir}/outside", b"x")),
        link(),
    ],
)
def test_a_bundle_that_is_no_bundle_is_passed_over(
    registry: RegistryDouble, versions: dict[int, Path], tmp_path: Path, bundle: bytes
) -> None:
    registry.artifacts[RUN, BUNDLE] = bundle
    loads(download(registry, tmp_path), versions[1])
    assert [path.name for path in tmp_path.iterdir()] == ["version"]


def test_what_the_manifest_does_not_name_is_not_kept(registry: RegistryDouble, versions: dict[int, Path], tmp_path: Path) -> None:
    manifest = registry.artifacts[RUN, MANIFEST]
    registry.artifacts[RUN, BUNDLE] = archive(("manifest.json", manifest), (f"mlflow_model/{pardir}/{pardir}/outside", b"x"))
    folder = download(registry, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["version"]
    loads(folder, versions[1])


def test_a_truncated_bundle_leaves_what_is_whole_and_the_rest_follows(
    registry: RegistryDouble, versions: dict[int, Path], tmp_path: Path
) -> None:
    whole = registry.artifacts[RUN, BUNDLE]
    registry.artifacts[RUN, BUNDLE] = whole[: len(whole) // 2]
    folder = download(registry, tmp_path)
    alone = [path for path in registry.asked if path not in (BUNDLE, MANIFEST) and not path.startswith("/api")]
    assert 0 < len(alone) < len(json.loads(registry.artifacts[RUN, MANIFEST])["files"])
    loads(folder, versions[1])


def test_wrong_bytes_are_refused(registry: RegistryDouble, tmp_path: Path) -> None:
    registry.spoil = lambda path, body: (200, body if path.startswith(("/api", "passerelle/manifest")) else body[:-1] + b"!")
    del registry.artifacts[RUN, BUNDLE]
    assert refusal(registry, tmp_path).code == "digest"
    assert not list((tmp_path / "version").rglob("*.partial"))


def test_another_manifest_is_refused(registry: RegistryDouble, tmp_path: Path) -> None:
    registry.versions[1]["tags"][ARTIFACT_DIGEST] = "sha256:0"
    assert refusal(registry, tmp_path).code == "manifest"


def test_a_version_over_the_limit_is_refused_before_it_is_read(registry: RegistryDouble, tmp_path: Path) -> None:
    assert refusal(registry, tmp_path, most_bytes=1_000).code == "size"
    assert not list((tmp_path / "version").rglob("*.npy"))


def test_a_disk_without_room_is_a_matter_of_time(registry: RegistryDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(NotReachedError) as full:
        download(registry, tmp_path)
    assert full.value.code == "disk"
    monkeypatch.undo()
    download(registry, tmp_path)


def test_what_was_downloaded_before_is_not_downloaded_again(registry: RegistryDouble, tmp_path: Path) -> None:
    folder = download(registry, tmp_path)
    (folder / "golden.json").unlink()
    registry.asked.clear()
    registry.artifacts[RUN, BUNDLE] = b""
    download(registry, tmp_path)
    assert registry.asked[1:] == [BUNDLE, "golden.json"]
