"""Labels as a model has them: 0 is not "0", unless the file knows no types."""

from __future__ import annotations

from typing import Any

import pytest

from passerelle.gate.class_names import ClassNames


@pytest.mark.parametrize(
    ("classes", "value", "typed", "place"),
    [
        ((0, 1), "0", False, 0),
        ((0, 1), "1.0", False, 1),
        ((0, 1), "0", True, None),
        ((0, 1), 0, True, 0),
        ((0, 1), 1.0, True, 1),
        ((0, 1), True, True, None),
        ((0, 1), "2", False, None),
        (("0", "1"), 0, True, None),
        (("0", "1"), "0", True, 0),
        (("0", "1"), "0", False, 0),
        ((False, True), "true", False, 1),
        ((False, True), 1, True, None),
        ((False, True), True, True, 1),
        ((0.5, 1.5), "0.5", False, 0),
        (("a", "b"), "c", False, None),
    ],
)
def test_a_value_is_the_class_that_the_model_has(classes: tuple[Any, ...], value: Any, typed: bool, place: int | None) -> None:
    assert ClassNames.of(classes, {}).place_of(value, typed=typed) == place


def test_names_of_labels_are_understood_in_any_file() -> None:
    names = ClassNames.of((0, 1), {"0": "délai", "1": "voirie"})
    assert names.texts == ("délai", "voirie")
    assert [names.place_of(value, typed=True) for value in ("délai", 1, "1")] == [0, 1, None]
    assert names.place_of("1", typed=False) == 1


def test_an_unknown_value_gets_a_text_that_no_class_has() -> None:
    assert ClassNames.of(("0", "1"), {}).texts_of([0, "0"], typed=True).tolist() == ["0 (integer)", "0"]
    assert ClassNames.of((0, "0"), {}).texts == ("0", '"0"')
    assert str(ClassNames.of((0, 1), {})) == "'0', '1' (integer)"
