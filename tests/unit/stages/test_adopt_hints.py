"""The command that a refused adoption names keeps what was typed before: no hint leads back to an earlier refusal."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from passerelle.model.adoption import Adoption
from passerelle.model.flavors.logged import LoggedFlavor
from passerelle.stages.adopt_hints import completed, given, options_of, then_converted
from passerelle.stages.adopt_options import AdoptOptions
from tests.unit.hint_commands import problem_of

CONVERT = "passerelle convert models:/comments/3 --to skops"
ONNX = "passerelle convert models:/comments/3 --to onnx"
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
        (f"{ANY} --override 'P==V'", "'numpy==1.26.4' is none", f"{ADOPT} --text-column text --labels labels.json --override 'P==V'"),
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
    message, hint = "--drop-column names 'id', and the signature has age, the target", "passerelle adopt models:/m-1"
    expected = ["--examples", "my rows.csv", "--drop-column", "the target", "--override", "scipy<2", "--model", "our model"]
    assert shlex.split(completed(hint, message, "models:/m-1", given(options, "our model"))) == [
        "passerelle",
        "adopt",
        "models:/m-1",
        *expected,
    ]


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (f"{ANY} --override 'scipy==1.11'", f"{ADOPT} {TYPED} --override 'scipy==1.11'; {CONVERT}"),
        (f"{ANY} --python 3.9\nuv cache prune", f"{ADOPT} {TYPED} --python 3.9; {CONVERT}\nuv cache prune"),
        (f"UV_INDEX=https://a.example {ANY}", f"UV_INDEX=https://a.example {CONVERT}"),
        (f"{ANY} --dry-run", f"{ADOPT} --dry-run"),
        ("pip index versions pip", "pip index versions pip"),
    ],
)  # fmt: skip
def test_a_conversion_without_versions_leads_to_another_adoption_and_back(hint: str, expected: str) -> None:
    found = then_converted(hint, "", (ADDRESS, CONVERT, ONNX), GIVEN)
    assert found == (expected if expected.startswith("pip") else f"{expected}\n{ONNX}")
    assert problem_of(found) is None


def test_what_a_model_was_adopted_with_is_read_from_its_record() -> None:
    inputs = '[{"name": "comment", "type": "string"}]'
    adoption = Adoption("s", "", "sklearn", "classification", {"inputs": inputs}, "signature", "3.9", "list", ("id",), {"0": "no"})
    expected = [("--text-column", "comment"), ("--drop-column", "id"), ("--labels", "FILE")]
    logged = LoggedFlavor("sklearn", "scikit-learn", (), True, {}, "3.9.18")
    assert options_of(adoption, logged) == expected
    assert options_of(adoption, replace(logged, python="3.10.2")) == [*expected, ("--python", "3.9")]
