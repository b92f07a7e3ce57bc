"""Set all times in an image to one, so that the same inputs give the same digest whenever it is built.

BuildKit does so itself since 0.13 (`rewrite-timestamp`), only for some of its outputs; the engines of long-lived distributions are older.
See https://reproducible-builds.org/specs/source-date-epoch/.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
import tempfile
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from passerelle.bentos.engine import ask, failed
from passerelle.model.manifest import digest_of_file

_TIMEOUT_S = 600.0

#: An image's configuration as the OCI image specification has it, with what Docker adds.
ImageConfig = dict[str, Any]


def rewrite(engine: str, image: str, name: str, *, epoch: int, kept: Collection[str]) -> None:
    """Make the same image under another name, with every time set to the epoch.

    Args:
        epoch: Seconds since 1970-01-01 UTC.
        kept: Digests of the layers that stay as they are: the base's.

    Raises:
        OutsideError: The engine cannot save or load it.
    """
    with tempfile.TemporaryDirectory() as temporary:
        saved, rewritten = Path(temporary, "saved.tar"), Path(temporary, "made.tar")
        _run(engine, "save", "--output", str(saved), image)
        with tarfile.open(saved) as source, tarfile.open(rewritten, "w") as target:
            rewrite_archive(source, target, Path(temporary), name=name, epoch=epoch, kept=kept)
        saved.unlink()
        _run(engine, "load", "--quiet", "--input", str(rewritten))


def rewrite_archive(
    source: tarfile.TarFile, target: tarfile.TarFile, folder: Path, *, name: str, epoch: int, kept: Collection[str]
) -> None:
    """Copy the image in an archive, as `docker save` writes it, with every time set to the epoch."""
    manifest = json.loads(_read(source, "manifest.json"))[0]
    config = json.loads(_read(source, manifest["Config"]))
    digests, names = [], []
    for saved, known in zip(manifest["Layers"], config["rootfs"]["diff_ids"], strict=True):
        layer = folder / "layer.tar"
        digest = _layer(source, saved, layer, epoch, known if known in kept else None)
        digests.append(digest)
        names.append(f"{digest.removeprefix('sha256:')}.tar")
        if names[-1] not in target.getnames():
            target.add(layer, names[-1], filter=lambda member: _stamped(member, epoch))
    moment = datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    content = json.dumps(_config(config, digests, moment), sort_keys=True, separators=(",", ":")).encode()
    identity = hashlib.sha256(content).hexdigest()
    _write(target, f"{identity}.json", content)
    _write(target, "manifest.json", json.dumps([{"Config": f"{identity}.json", "RepoTags": [name], "Layers": names}]).encode())


def _config(config: ImageConfig, digests: list[str], moment: str) -> ImageConfig:
    """Return the image's configuration with its new layers, and without the fields that only say who built it and when."""
    history = [{**entry, "created": moment} for entry in config.get("history", [])]
    kept = {
        name: value
        for name, value in config.items()
        if name not in {"container", "container_config", "docker_version", "moby.buildkit.buildinfo.v1"}
    }
    return {**kept, "created": moment, "history": history, "rootfs": {"type": "layers", "diff_ids": digests}}


def _layer(source: tarfile.TarFile, name: str, path: Path, epoch: int, kept: str | None) -> str:
    """Write the layer with its times set, or as it is where its digest is given, and return its digest."""
    packed = source.extractfile(name)
    if packed is None:
        raise KeyError(name)
    if kept is not None:
        # Some engines save it compressed; its known digest is that of the unpacked layer.
        with path.open("wb") as file:
            shutil.copyfileobj(packed, file)
        return kept
    with tarfile.open(fileobj=packed) as old, tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as new:
        for member in old:
            new.addfile(_stamped(member, epoch), old.extractfile(member) if member.isfile() else None)
    return digest_of_file(path)


def _stamped(member: tarfile.TarInfo, epoch: int) -> tarfile.TarInfo:
    member.mtime = epoch
    member.uname = member.gname = ""
    # Extended attributes, such as a file's capabilities, stay; the finer times go.
    member.pax_headers = {name: value for name, value in member.pax_headers.items() if name.startswith("SCHILY.xattr.")}
    return member


def _read(source: tarfile.TarFile, name: str) -> bytes:
    file = source.extractfile(name)
    if file is None:
        raise KeyError(name)
    return file.read()


def _write(target: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    target.addfile(member, io.BytesIO(content))


def _run(engine: str, *arguments: str) -> None:
    done = ask(engine, *arguments, timeout_s=_TIMEOUT_S)
    if done.returncode != 0:
        raise failed(engine, done.stderr, of=f"{engine} {arguments[0]}", hint="unset SOURCE_DATE_EPOCH; passerelle containerize")
