"""What PASSERELLE_FOLLOW may say."""

from __future__ import annotations

from os import pardir
from pathlib import Path
from typing import Any

import pytest

from passerelle.errors import SettingsError
from passerelle.follow_settings import FollowSettings
from passerelle.serving.following.target import Target, targets


def read(follow: str, address: str | None = "http://there:5000") -> tuple[Target, ...]:
    given: dict[str, Any] = {"follow_tracking_uri": address} if address else {}
    return targets(FollowSettings.read({}, follow=follow, **given), "classification")


def test_nothing_is_followed_by_default() -> None:
    assert read("") == read("  ") == ()


def test_an_alias_alone_is_that_of_the_bento() -> None:
    assert read("production") == (Target("classification", "production"),)


def test_several_models_are_named_with_their_aliases() -> None:
    assert read("production, langue@production") == (Target("classification", "production"), Target("langue", "production"))
    assert read("classification@live") == (Target("classification", "live"),)


@pytest.mark.parametrize(
    ("follow", "problem"),
    [
        ("classification@", "names no alias in 'classification@'"),
        ("@production", "names no alias in '@production'"),
        ("production,", "names no alias in ''"),
        ("production,classification@live", "names a registered model twice"),
        ("langue@production", "begins with langue, and this bento was built from classification"),
    ],
)
def test_what_cannot_be_followed_is_refused_with_a_command(follow: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem) as refused:
        read(follow)
    assert refused.value.hint is not None
    assert refused.value.hint.startswith("export PASSERELLE_FOLLOW=")


@pytest.mark.parametrize("address", [None, "there:5000", "ftp://there", "http://"])
def test_the_server_needs_an_address(address: str | None) -> None:
    with pytest.raises(SettingsError, match="MLFLOW_TRACKING_URI"):
        read("production", address)


def test_a_folder_is_one_name_whatever_the_model_is_called(tmp_path: Path) -> None:
    folder = Target(f"{pardir}/a/b", "production").folder(tmp_path)
    assert folder.parent == tmp_path
    assert folder.name == "..%2Fa%2Fb@production"
