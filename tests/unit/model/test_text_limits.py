"""Texts whose cost grows faster than their length are found, at a cost that does not."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerelle.model.text_limits import EXPANSION, LONGEST_DECOMPOSITION, NON_STARTERS, TEXT_CHARACTERS, decomposed_length, text_fault

ACUTE, MUSIC, DOUBLE, TIBETAN = "\u0301", "\U0001d165", "\u0344", "\u0f73"


def longest_run(text: str) -> int:
    """Return what the check must find, by the slow way."""
    longest = run = 0
    for character in unicodedata.normalize("NFKD", text):
        run = run + 1 if unicodedata.combining(character) else 0
        longest = max(longest, run)
    return longest


GOOD = {
    "French": "Aucune réponse à ma demande d’inscription depuis « mars » : où en est-elle ? ",
    "Vietnamese": "Tôi chưa nhận được phản hồi về đề nghị của tôi từ ba tháng nay. ",
    "decomposed Vietnamese": unicodedata.normalize("NFD", "Tôi chưa nhận được phản hồi về đề nghị của tôi từ ba tháng nay. "),
    "Hangul": "삼개월동안답변이없습니다",
    "pointed Hebrew": "שָׁלוֹם ",
    "Arabic": "مَرْحَبًا بِكُمْ ",
    "Tibetan": "བོད་སྐད་ཡིག་",
    "polytonic Greek": "ᾧ ᾳ̃ ἐν ἀρχῇ ἦν ὁ λόγος ",
    "emoji": "👩‍👩‍👧🇫🇷😡🙏",
    "mathematical letters": "𝒞𝒽𝒶𝓉",
}


@pytest.mark.parametrize("sample", GOOD.values(), ids=GOOD)
def test_every_language_is_accepted_up_to_the_limit(sample: str) -> None:
    assert text_fault((sample * TEXT_CHARACTERS)[:TEXT_CHARACTERS]) is None


@pytest.mark.parametrize("mark", [ACUTE, MUSIC, "\uff9e", "\u0327\u0301"])
@pytest.mark.parametrize("before", ["", "e", "a" * 13, "é" * 200, "\u1fb7"])
def test_a_run_of_marks_is_refused_from_the_31st(mark: str, before: str) -> None:
    carried = longest_run(before[-1:])
    allowed = NON_STARTERS - carried
    text = before + (mark * allowed)[:allowed]
    assert text_fault(text + "e") is None
    assert text_fault(text + mark) == "has more than 30 combining marks in a row"
    assert text_fault(text + mark + "e" * 500) is not None


@pytest.mark.parametrize("mark", [DOUBLE, TIBETAN])
def test_marks_that_decompose_into_two_count_as_two(mark: str) -> None:
    assert text_fault("e" + mark * 15) is None
    assert text_fault("é" + mark * 15) is not None


@given(
    st.lists(st.tuples(st.sampled_from(["e", "é", "\u1fb7", "각", " ", ACUTE, DOUBLE, TIBETAN, MUSIC, "\uff9e", "İ"]), st.integers(1, 32)))
)
def test_the_check_finds_what_normalization_would(pieces: list[tuple[str, int]]) -> None:
    text = "".join(character * times for character, times in pieces)
    assert (text_fault(text) is not None) == (longest_run(text) > NON_STARTERS)
    assert decomposed_length(text) == len(unicodedata.normalize("NFKD", text))


def test_what_is_known_of_the_characters_is_what_unicode_says() -> None:
    for start in range(0, 0x110000, 0x1000):
        characters = [chr(code) for code in range(start, start + 0x1000)]
        assert decomposed_length("".join(characters)) == sum(len(unicodedata.normalize("NFKD", each)) for each in characters)
    longest = max(range(0x110000), key=lambda code: len(unicodedata.normalize("NFKD", chr(code))))
    assert len(unicodedata.normalize("NFKD", chr(longest))) == LONGEST_DECOMPOSITION
    # Lower-casing comes before the decomposition: it makes no run and no text longer.
    changed = [character for character in map(chr, range(0x110000)) if character.lower() != character]
    assert all(longest_run(each.lower()) <= longest_run(each) for each in changed)
    assert all(decomposed_length(each.lower()) <= decomposed_length(each) for each in changed)


def test_a_text_that_decomposes_into_too_much_is_refused() -> None:
    most = EXPANSION * TEXT_CHARACTERS // LONGEST_DECOMPOSITION
    assert text_fault("\ufdfa" * most) is None
    assert text_fault("\ufdfa" * (most + 1)) == "is longer than 80000 characters once its characters are decomposed (Unicode NFKD)"
    assert text_fault("\ufdfa" * 23, most_characters=100) is not None


@pytest.mark.timing
@pytest.mark.parametrize(
    "make",
    [
        lambda n: ACUTE * n,
        lambda n: ("e" + "\u0301\u0323" * 15) * (n // 31),
        lambda n: ("e" + MUSIC * 29) * (n // 30),
        lambda n: "\U00012000" * n,
        lambda n: "각" * n,
        lambda n: "\ufdfa" * n,
    ],
    ids=["one run", "many runs", "many above the BMP", "cuneiform", "Hangul", "ligatures"],
)
def test_the_check_is_linear(make: Callable[[int], str]) -> None:
    def seconds(text: str) -> float:
        def once() -> float:
            began = time.process_time()
            for _ in range(5):
                text_fault(text)
            return time.process_time() - began

        return min(once() for _ in range(5))

    assert seconds(make(80_000)) < 16 * seconds(make(20_000)) + 0.01
