"""YAML that people edit: each thing that is refused is named by line and key, before it costs anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from passerelle.criteria_file import read_criteria
from passerelle.errors import UsageError
from passerelle.yaml_text import YamlFault, parse_yaml

REFUSED = {
    "lists, 3,000 deep": ("a: " + "[" * 3_000 + "]" * 3_000, "line 1: more than 20 levels"),
    "mappings, 3,000 deep": ("a: " + "{a: " * 3_000 + "}" * 3_000, "line 1: more than 20 levels"),
    "dashes, 3,000 deep": ("- " * 3_000 + "1", "line 1: more than 20 levels"),
    "indented, 300 deep": ("\n".join(" " * level + "a:" for level in range(300)), "line 22: more than 20 levels"),
    "an alias bomb": ("a: &a [x, x]\nb: [*a, *a]", r"line 1: anchors \(&\) are not read"),
    "an alias": ("b: *a", r"line 1: aliases \(\*\) are not read"),
    "an alias as key": ("<<: *a", r"line 1: aliases \(\*\) are not read"),
    "a tag": ("a: !!python/name:os.system", r"line 1: tags \(!\) are not read"),
    "a large file": ("# " + "x" * 200_000, "more than 128 KiB"),
    "a long number": ("rows: " + "9" * 5_000, "line 1: rows: a number of 5,000 characters"),
    "a list as key": ("? [a, b]\n: 1", "line 1: a key is a text"),
    "a tab": ("a:\n\t- b", "line 2: found character"),
    "an open bracket": ("a: [1", "line 1: expected ',' or ']'"),
    "twice": ("a: 1\nb: {c: 1, c: 2}", "c is given twice, in line 2 and in line 2"),
    "yes": ("a: 1\nmust_be_better: yes", "line 2: must_be_better: yes is a truth value or a number to some readers"),
    "off in a list": ("a:\n- off", "line 2: off is a truth value"),
    "no as key": ("classes: {no: 0.3}", "line 1: no is a truth value"),
    "a number to the base of 60": ("rows: 1:30", "line 1: rows: 1:30 is a truth value or a number"),
    "octal": ("rows: 010", "line 1: rows: 010 is"),
    "hexadecimal": ("rows: 0x10", "line 1: rows: 0x10 is"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_named_by_its_place(name: str) -> None:
    content, said = REFUSED[name]
    with pytest.raises(YamlFault, match=said):
        parse_yaml(content.encode())


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a: \x00", b"a: \xed\xa0\x80"])
def test_bytes_that_are_no_text_are_refused(content: bytes) -> None:
    with pytest.raises(YamlFault):
        parse_yaml(content)


def test_values_have_the_type_that_they_look_like() -> None:
    content = "{a: 2_000, b: 1e3, c: -0.5, d: true, e: ~, f: 'yes', g: 2024-01-01, h: .5, i: Délai, j: '1:30', k: 0}"
    found = parse_yaml(content.encode())
    assert list(found.values()) == [2_000, 1_000.0, -0.5, True, None, "yes", "2024-01-01", 0.5, "Délai", "1:30", 0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{}", "hold no keys"),
        ("", "hold no keys"),
        ("- a", "hold no keys"),
        ("champion: {superior: yes}", "line 1: superior: yes"),
        ("champion: {superior: 'yes'}", "champion.superior: Input should be a valid boolean"),
        ("held_out: {rows: true}", "held_out.rows: Input should be a valid integer"),
        ("held_out: {rows: '20'}", "held_out.rows: Input should be a valid integer"),
        ("held_out: {rows: 100000000000000000000}", "held_out.rows"),
        ("held_out: {class_rows: 100000000000000000000}", "held_out.class_rows"),
        ("held_out: {rows: 20.5}", "held_out.rows: Input should be a valid integer"),
        ("held_out: ~", "held_out: Input should be a valid dictionary"),
    ],
)
def test_criteria_say_which_key_is_wrong(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "criteria.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=said):
        read_criteria(path)
