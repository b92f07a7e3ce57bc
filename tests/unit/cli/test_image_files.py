"""What CI's next steps read of an image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from passerelle.bentos.containerize import BuiltImage
from passerelle.cli.image_files import write
from passerelle.errors import OutsideError
from passerelle.names import VERSION_LABEL, BentoTag, ImageRef
from passerelle.stages.containerize import Containerized

PUSHED = "registry.example.org/team/classification@sha256:" + "0" * 64


def result(tmp_path: Path, pushed: str | None = PUSHED, *, dry_run: bool = False) -> Containerized:
    sbom = tmp_path / "store.cdx.json"
    sbom.write_text("{}")
    image = ImageRef("registry.example.org/team/classification", "7")
    tag = BentoTag("classification", "3-00000000")
    return Containerized(BuiltImage(image, tag, "docker", sbom=sbom, labels={VERSION_LABEL: "3"}, dry_run=dry_run), None, pushed)


def test_the_values_are_added_to_the_file(tmp_path: Path) -> None:
    outputs, sbom = tmp_path / "outputs", tmp_path / "sbom.cdx.json"
    outputs.write_text("EARLIER=1\n")
    write(result(tmp_path), outputs=outputs, sbom=sbom)
    assert outputs.read_text().splitlines() == [
        "EARLIER=1",
        "BENTO_TAG=classification:3-00000000",
        "MODEL_VERSION=3",
        f"IMAGE={PUSHED}",
        "REPOSITORY=registry.example.org/team/classification",
        f"DIGEST=sha256:{'0' * 64}",
    ]
    assert sbom.read_text() == "{}"


def test_an_image_that_was_not_pushed_has_no_digest_of_a_registry(tmp_path: Path) -> None:
    write(result(tmp_path, None), outputs=tmp_path / "outputs", sbom=None)
    assert "IMAGE=" not in (tmp_path / "outputs").read_text()


def test_a_dry_run_writes_nothing_and_a_missing_folder_is_told(tmp_path: Path) -> None:
    write(result(tmp_path, dry_run=True), outputs=tmp_path / "outputs", sbom=tmp_path / "sbom.cdx.json")
    assert not (tmp_path / "outputs").exists()
    built = result(tmp_path)
    with pytest.raises(OutsideError, match=r"cannot write .*nowhere/outputs: No such file or directory"):
        write(replace(built), outputs=tmp_path / "nowhere" / "outputs", sbom=None)
