"""The bill of materials: licences from what machines can read, hashes from the lock, and NOASSERTION instead of a guess."""

from __future__ import annotations

import json
import runpy
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from passerelle.bentos.locked_hashes import locked_hashes
from passerelle.bentos.sbom import Packages, bill_of_materials

ROOT = Path(__file__).resolve().parents[3]
LICENCES_OF = runpy.run_path(str(resources.files("passerelle.bentos") / "image" / "packages.py"))["licences_of"]
DEP_5 = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: acl

Files: *
Copyright: 2001-2002, Silicon Graphics
License: GPL-2+

Files: lib/*
  include/*
Copyright: 2001
license: LGPL-2.1+

Files: build/*
License: Expat
 Permission is hereby granted

License: GPL-2+
 License: of this text's own words
"""


def copyright_file(folder: Path, text: str) -> list[str]:
    (folder / "acl").mkdir(exist_ok=True)
    (folder / "acl" / "copyright").write_text(text)
    found: list[str] = LICENCES_OF("acl", folder)
    return found


def test_licences_are_those_that_hold_for_files(tmp_path: Path) -> None:
    assert copyright_file(tmp_path, DEP_5) == ["Expat", "GPL-2+", "LGPL-2.1+"]
    assert copyright_file(tmp_path, "Format-Specification: http://svn.debian.org/dep5.mdwn\nLicense: BSD\n\nFiles: *\n") == ["BSD"]


@pytest.mark.parametrize("text", ["", "This package was debianized by hand.\n\nLicense: GPL-2+\n\nFiles: *\nLicense: MIT\n", "\x00\xff"])
def test_what_is_not_machine_readable_is_not_guessed(tmp_path: Path, text: str) -> None:
    assert copyright_file(tmp_path, text) == []
    assert LICENCES_OF("nowhere", tmp_path) == []


def bill(*debian: str, hashes: Path | None = None) -> dict[str, Any]:
    found: Packages = {
        "python": "3.11.2",
        "packages": [{"name": "Click", "version": "8.1", "licence": "BSD-3-Clause"}, {"name": "odd", "version": "1", "licence": ""}],
        "debian": [{"name": "acl", "version": "2.3", "architecture": "amd64", "licences": list(debian)}],
    }
    locked = locked_hashes([hashes] if hashes else [])
    content = bill_of_materials(found, name="a", version="1", created="2026-01-01T00:00:00+00:00", labels={}, hashes=locked)
    return {component["name"]: component for component in json.loads(content)["components"]}


@pytest.mark.parametrize(
    ("short", "licence"),
    [
        ("GPL-2+", {"id": "GPL-2.0-or-later"}),
        ("gpl-3", {"id": "GPL-3.0-only"}),
        ("GPL-2.0+", {"id": "GPL-2.0-or-later"}),
        ("LGPL-2.1+", {"id": "LGPL-2.1-or-later"}),
        ("Expat", {"id": "MIT"}),
        ("BSD-3-clause", {"id": "BSD-3-Clause"}),
        ("public-domain", {"name": "public-domain"}),
        ("GPL-2+ with OpenSSL exception", {"name": "GPL-2+ with OpenSSL exception"}),
        ("GPL-9+", {"name": "GPL-9+"}),
        ("GPL", {"name": "GPL"}),
    ],
)
def test_short_names_of_debian_become_those_of_spdx(short: str, licence: dict[str, str]) -> None:
    assert bill(short)["acl"]["licenses"] == [{"license": licence}]


def test_a_licence_that_nothing_states_is_said_to_be_unknown() -> None:
    found = bill()
    assert found["acl"]["licenses"] == found["odd"]["licenses"] == [{"license": {"name": "NOASSERTION"}}]
    assert found["Click"]["licenses"] == [{"license": {"id": "BSD-3-Clause"}}]
    assert all(component["licenses"] for component in found.values())


def test_hashes_are_those_of_the_lock(tmp_path: Path) -> None:
    hashes = f"--hash=sha256:{'b' * 64} \\\n    --hash=sha256:{'a' * 64}"
    (lock := tmp_path / "requirements.txt").write_text(
        f"# by uv\nclick==8.1.0 ; python_version > '3' \\\n    {hashes}\n    # via x\nodd==1\n"
    )
    found = bill(hashes=lock)
    (reference,) = found["Click"]["externalReferences"]
    assert reference["type"] == "distribution"
    assert reference["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}, {"alg": "SHA-256", "content": "b" * 64}]
    assert "externalReferences" not in found["odd"]


def test_every_package_of_the_lock_has_its_hashes() -> None:
    text = (ROOT / "requirements" / "scorer.txt").read_text()
    found = locked_hashes([ROOT / "requirements" / "scorer.txt"])
    assert sum(map(len, found.values())) == text.count("--hash=sha256:")
    assert len(found) == sum("==" in line and not line.startswith((" ", "#")) for line in text.splitlines())
