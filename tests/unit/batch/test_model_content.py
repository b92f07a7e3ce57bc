"""A model is carried by content: the same bytes for the same files, and refused where they are others."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from passerelle.batch.model_content import ModelContent, content_of, scoring_of, verified
from passerelle.errors import DigestError, IntegrityError, SettingsError
from passerelle.settings import SigningSettings
from tests.unit.batch.tables import bento_model, recipe_of
from tests.unit.serving.models import TEXTS


def test_the_bytes_are_those_of_the_files_alone(tmp_path: Path) -> None:
    folder = bento_model(tmp_path)
    first = content_of(folder)
    os.utime(folder / "manifest.json", (0, 0))
    assert content_of(folder) == first
    scoring, recipe = verified(first, recipe_of(tmp_path))
    assert recipe.model_folder == Path(), "no path of this machine goes to another"
    there, unpacked = scoring_of(first.content, first.digest, recipe)
    try:
        records = [{"text": text} for text in TEXTS]
        assert there.model.rows(records) == scoring.model.rows(records)
    finally:
        unpacked.cleanup()


def test_other_bytes_are_refused(tmp_path: Path) -> None:
    folder = bento_model(tmp_path)
    content, recipe = content_of(folder), recipe_of(tmp_path)
    with pytest.raises(DigestError, match="the model that arrived has the digest"):
        scoring_of(content.content[:-1] + b"x", content.digest, recipe)
    (folder / "manifest.json").write_bytes((folder / "manifest.json").read_bytes().replace(b"a", b"b", 1))
    damaged = content_of(folder)
    with pytest.raises(IntegrityError):
        verified(ModelContent(damaged.content, damaged.digest), recipe)


def test_a_signature_that_is_required_is_verified_before_the_model_leaves(tmp_path: Path) -> None:
    required = SigningSettings.model_construct(**{**SigningSettings().model_dump(), "verify": "required"})
    recipe = replace(recipe_of(tmp_path), signing=required)
    with pytest.raises(SettingsError, match="no key is set to verify"):
        verified(content_of(recipe.model_folder), recipe)
