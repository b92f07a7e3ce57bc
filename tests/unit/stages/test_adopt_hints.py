"""The command that a refused adoption names keeps what was typed before: no hint leads back to an earlier refusal."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from passerelle.stages.adopt_hints import completed, given
from passerelle.stages.adopt_options import AdoptOptions
from tests.unit.hint_commands import problem_of

ADDRESS = "models:/comments/3"
ANY = "passerelle adopt models:/NAME/VERSION"
ADOPT = f"passerelle adopt {ADDRESS}"
GIVEN = [("--text-column", "text"), ("--override", "numpy==1.26.4"), ("--labels", "labels.json")]
TYPED = "--text-column text --override 'numpy==1.26.4' --labels labels.json"


@pytest.mark.parametrize(
    ("hint", "message", "expected"),
    [
        (f"{ANY} --override 'scipy==1.11'", "", f"{ADOPT} {TYPED} --override 'scipy==1.11'"),
        (f"{ANY} --override 'NumPy<2,>=1'", "", f"{ADOPT} --text-column text --labels labels.json --override 'NumPy<2,>=1'"),
        (f"UV_INDEX=https://a {ANY}\n{ANY} --python 3.9", "", f"UV_INDEX=https://a {ADOPT} {TYPED}\n{ADOPT} {TYPED} --python 3.9"),
        (f"export UV_INDEX=https://a.example; {ANY}", "", f"export UV_INDEX=https://a.example; {ADOPT} {TYPED}"),
        (f"{ADOPT} --labels FILE", "--labels has no name for 1", f"{ADOPT} --text-column text --override 'numpy==1.26.4' --labels FILE"),
        (f"{ADOPT} --signature FILE", "", f"{ADOPT} --override 'numpy==1.26.4' --labels labels.json --signature FILE"),
        (ADOPT, "--labels names labels, and the model does not give any", f"{ADOPT} --text-column text --override 'numpy==1.26.4'"),
        (f"{ANY} --override 'P==V'", "« numpy==1.26.4 » is none", f"{ADOPT} --text-column text --labels labels.json --override 'P==V'"),
        ("uv python install 3.9\npasserelle status", "", "uv python install 3.9\npasserelle status"),
        ("passerelle adopt models:/comments/34", "", "passerelle adopt models:/comments/34"),
    ],
)  # fmt: skip
def test_a_hint_keeps_what_was_given_but_for_what_is_wrong(hint: str, message: str, expected: str) -> None:
    found = completed(hint, message, ADDRESS, GIVEN)
    assert found == expected
    assert problem_of(found) is None


def test_a_hint_keeps_the_columns_that_are_right_and_the_model_of_a_run() -> None:
    options = AdoptOptions(examples=Path("my rows.csv"), drop_columns=("id", "the target"), overrides=("scipy<2",))
    message, hint = "--drop-column names « id », and the signature has age, the target", "passerelle adopt models:/m-1"
    expected = ["--examples", "my rows.csv", "--drop-column", "the target", "--override", "scipy<2", "--model", "our model"]
    assert shlex.split(completed(hint, message, "models:/m-1", given(options, "our model"))) == [
        "passerelle",
        "adopt",
        "models:/m-1",
        *expected,
    ]
