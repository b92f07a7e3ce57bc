"""What a repository of public software holds: checked messages of commits, a description for catalogues, steps of a release."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from passerelle import __version__

ROOT = Path(__file__).resolve().parents[2]


def read(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / name).read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("message", "accepted"),
    [
        ("Read the state first\n\nIt was read last.\n", True),
        ("x" * 72 + "\n\nWhy.\n", True),
        ("x" * 73 + "\n\nWhy.\n", False),
        ("Read the state first\n", False),
        ("Read the state first\nIt was read last.\n", False),
        ("Read the state first\n\n# Please enter the commit message.\n", False),
    ],
)
def test_a_commit_message_has_a_short_subject_and_a_body(message: str, accepted: bool) -> None:
    (hook,) = [hook for hook in read(".pre-commit-config.yaml")["repos"][0]["hooks"] if hook["id"] == "commit-message"]
    assert hook["stages"] == ["commit-msg"]
    # As pygrep reads the pattern with --multiline.
    assert bool(re.search(hook["entry"], message, re.MULTILINE | re.DOTALL)) is accepted


#: https://github.com/publiccodeyml/publiccode.yml; `url` is set before the first release.
MANDATORY = {
    "publiccodeYmlVersion", "name", "platforms", "developmentStatus", "softwareType", "description", "legal", "maintenance", "localisation",
}  # fmt: skip


def test_the_description_for_catalogues_lacks_nothing_but_the_address() -> None:
    described = read("publiccode.yml")
    assert set(described) >= MANDATORY
    assert "url" in described or "publiccode.yml" in (ROOT / "CONTRIBUTING.md").read_text()
    for text in described["description"].values():
        assert len(text["shortDescription"]) <= 150
        assert 150 <= len(text["longDescription"]) <= 10_000
        assert 1 <= len(text["features"]) <= 10
    assert described["legal"]["license"] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"]
    assert all(contact["name"] for contact in described["maintenance"]["contacts"])


def test_the_version_is_the_same_in_both_places_that_a_release_sets() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == __version__


def test_lint_checks_the_licence_of_each_file() -> None:
    lint = re.search(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert lint
    assert "reuse lint" in lint[1]
