"""What a manifest records of a model's origin counts, and a tag that says otherwise is named."""

from __future__ import annotations

from typing import Any

import pytest

from passerelle.model.manifest import digest_of_manifest
from passerelle.model.origin import as_provenance, as_recorded, copies_of, of_run, provenance_in, run_differences, version_differences
from passerelle.names import ARTIFACT_DIGEST, CANDIDATE, COMPILED, CRITERIA_DIGEST, GIT_COMMIT, GOLDEN_DIGEST, OTHER_CLASS, PROJECT, SEED

SAID = {CANDIDATE: "word_lr", GIT_COMMIT: "c" * 40, SEED: "0", CRITERIA_DIGEST: "sha256:d", OTHER_CLASS: "autres"}
OLDER: dict[str, Any] = {"schema": 1, "files": {"MLmodel": "sha256:a", "scorer/scorer.json": "sha256:b"}, "golden": "sha256:c"}
MANIFEST = {**OLDER, "provenance": as_provenance(SAID)}


def test_the_manifest_holds_names_without_their_prefix() -> None:
    assert MANIFEST["provenance"]["git_commit"] == "c" * 40
    assert provenance_in(MANIFEST) == SAID
    assert of_run({**SAID, "mlflow.user": "x"}) == {name: value for name, value in SAID.items() if name != CRITERIA_DIGEST}


def test_copies_that_agree_are_no_difference() -> None:
    assert list(version_differences(copies_of(MANIFEST), MANIFEST)) == []
    assert list(run_differences(of_run(SAID), of_run(SAID), MANIFEST)) == []
    assert OTHER_CLASS not in copies_of(MANIFEST)
    assert copies_of(MANIFEST)[COMPILED] == "true"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({GIT_COMMIT: "e" * 40}, f"the tag of the version {GIT_COMMIT} is '{'e' * 40}', the manifest says '{'c' * 40}'"),
        ({SEED: None}, f"the tag of the version {SEED} is not there, the manifest says '0'"),
        ({"passerelle.data_export": "x" * 900}, "the tag of the version passerelle.data_export is 'xxx"),
        ({ARTIFACT_DIGEST: "sha256:0"}, f"the tag of the version {ARTIFACT_DIGEST} is 'sha256:0'"),
        ({COMPILED: "false"}, f"the tag of the version {COMPILED} is 'false', the manifest says 'true'"),
        ({SEED: "0\n\x1b[2J"}, r"'0\n\x1b[2J'"),
    ],
)
def test_each_edited_tag_is_named_with_both_values(change: dict[str, str | None], told: str) -> None:
    tags = {name: value for name, value in {**copies_of(MANIFEST), **change}.items() if value is not None}
    (difference,) = version_differences(tags, MANIFEST)
    assert told in difference.text
    assert len(difference.text) < 300
    recorded = as_recorded({**tags, PROJECT: "mine"}, MANIFEST)
    assert {name: recorded.get(name) for name in (GIT_COMMIT, SEED, COMPILED)} == {GIT_COMMIT: "c" * 40, SEED: "0", COMPILED: "true"}
    assert "passerelle.data_export" not in recorded
    assert recorded[PROJECT] == "mine", "a tag that is no copy stays"


def test_a_parameter_that_says_otherwise_is_named_too() -> None:
    found = [each.text for each in run_differences({**of_run(SAID), SEED: "7"}, {SEED: "8"}, MANIFEST)]
    assert found == [
        f"the tag of the run {SEED} is '7', the manifest says '0'",
        f"the parameter of the run {SEED} is '8', the manifest says '0'",
    ]


@pytest.mark.parametrize("provenance", [None, [], "text", {"seed": 7}])
def test_an_older_manifest_leaves_the_tags_as_they_are(provenance: Any) -> None:
    older = OLDER if provenance is None else {**OLDER, "provenance": provenance}
    tags = {GIT_COMMIT: "e" * 40, ARTIFACT_DIGEST: digest_of_manifest(older)}
    assert as_recorded(tags, older) == as_recorded(tags, None) == tags
    assert list(version_differences(tags, older)) == []
    assert list(run_differences(tags, tags, older)) == []
    assert [each.name for each in version_differences({**tags, GOLDEN_DIGEST: "sha256:x"}, older)] == [GOLDEN_DIGEST]


def test_an_adopted_version_has_no_scorer_of_ours() -> None:
    assert COMPILED not in copies_of({**OLDER, "adopted": {}})
