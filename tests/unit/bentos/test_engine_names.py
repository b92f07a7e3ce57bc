"""Names and layers as other engines give them: by digest without a registry, and compressed."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from passerelle.bentos.engine import of_registry
from passerelle.bentos.reproducible import rewrite_archive

DIGEST = "@sha256:" + "0" * 64


@pytest.mark.parametrize("name", ["passerelle/classification", "classification", "localhost/passerelle/classification"])
def test_what_was_only_built_here_is_of_no_registry(name: str) -> None:
    assert of_registry([name + DIGEST]) is None


@pytest.mark.parametrize("name", ["registry.example.org/classification", "localhost:5000/classification", "registry:5000/a/b"])
def test_what_was_pushed_is_of_its_registry(name: str) -> None:
    assert of_registry(["passerelle/classification" + DIGEST, name + DIGEST]) == name + DIGEST


def layer(content: bytes, mtime: int) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        member = tarfile.TarInfo("file")
        member.size, member.mtime = len(content), mtime
        archive.addfile(member, io.BytesIO(content))
    return written.getvalue()


def added(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def test_compressed_layers_keep_the_digests_of_what_they_unpack_to(tmp_path: Path) -> None:
    base, ours = layer(b"base", 5), layer(b"ours", 5)
    digests = ["sha256:" + hashlib.sha256(each).hexdigest() for each in (base, ours)]
    config = {"rootfs": {"type": "layers", "diff_ids": digests}, "history": [], "created": "2020-01-01T00:00:00Z"}
    with tarfile.open(tmp_path / "saved.tar", "w") as archive:
        added(archive, "manifest.json", json.dumps([{"Config": "config", "RepoTags": None, "Layers": ["base", "ours"]}]).encode())
        added(archive, "config", json.dumps(config).encode())
        added(archive, "base", gzip.compress(base))
        added(archive, "ours", gzip.compress(ours))
    with tarfile.open(tmp_path / "saved.tar") as source, tarfile.open(tmp_path / "made.tar", "w") as target:
        rewrite_archive(source, target, tmp_path, name="a:1", epoch=1_700_000_000, kept=digests[:1])
    with tarfile.open(tmp_path / "made.tar") as made:
        [manifest] = json.load(made.extractfile("manifest.json") or pytest.fail())
        found = json.load(made.extractfile(manifest["Config"]) or pytest.fail())["rootfs"]["diff_ids"]
        stored = [(made.extractfile(name) or pytest.fail()).read() for name in manifest["Layers"]]
    assert manifest["RepoTags"] == ["a:1"]
    assert found[0] == digests[0]
    assert gzip.decompress(stored[0]) == base
    assert found[1] == "sha256:" + hashlib.sha256(stored[1]).hexdigest()
    assert found[1] != digests[1], "its times are set"
