"""Two manifests are compared file by file, whatever an attacker wrote into one of them."""

from __future__ import annotations

from typing import Any

import pytest

from passerelle.stages.authenticity import first_difference

MANIFEST: dict[str, Any] = {"schema": 1, "files": {"MLmodel": "sha256:a", "scorer/scorer.json": "sha256:b"}, "golden": "sha256:c"}


@pytest.mark.parametrize(
    ("other", "name"),
    [
        (MANIFEST, None),
        ({**MANIFEST, "files": {"MLmodel": "sha256:a"}}, "scorer/scorer.json"),
        ({**MANIFEST, "files": {**MANIFEST["files"], "MLmodel": "sha256:d"}}, "MLmodel"),
        ({**MANIFEST, "files": {**MANIFEST["files"], "scorer/more.npy": "sha256:d"}}, "scorer/more.npy"),
        ({**MANIFEST, "golden": "sha256:d"}, "golden.json"),
        ({**MANIFEST, "training": {"data/held_out.parquet": "sha256:d"}}, "data/held_out.parquet"),
        ({**MANIFEST, "schema": 2}, "manifest.json"),
        ({**MANIFEST, "more": []}, "manifest.json"),
        ({**MANIFEST, "files": 7}, "MLmodel"),
        ({**MANIFEST, "training": "text"}, "MLmodel"),
        ({}, "MLmodel"),
    ],
)
def test_the_first_file_that_differs_is_named(other: dict[str, Any], name: str | None) -> None:
    assert first_difference(MANIFEST, other) == name
    assert first_difference(other, MANIFEST) == name
