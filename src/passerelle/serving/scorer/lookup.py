"""Text to the codes of its n-grams, with the chunks of ordinary language remembered.

A code is twice the n-gram's column, counted over all sections, plus 1 where a hash gives it a negative sign. Codes are made per source:
a field of the record, preprocessed in one way, which several vectorizers may share.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sklearn.utils import murmurhash3_32

from passerelle.serving.scorer.analyzers import (
    Analyzer,
    char_ngrams,
    char_wb_ngrams_of_chunk,
    preprocess_of,
    tokenizer_of,
    word_ngrams,
)
from passerelle.serving.scorer.sections import Hashing, Section

#: A longer chunk is cut anew each time: it is no word, and remembering it would let anybody fill the memory.
LONGEST_CHUNK = 48
#: What one generation of remembered chunks may take, approximately; two generations exist at a time.
GENERATION_BYTES = 8 * 2**20
#: What a remembered chunk takes besides its codes: dict slot, key, tuples, objects' headers.
ENTRY_BYTES = 400

_LOWEST_HASH = -(2**31)

Encode = Callable[[Sequence[str]], list[int]]
#: The codes of a chunk as bytes (native 32-bit integers), then its tokens, once for each section that needs them.
Entry = tuple[bytes, tuple[tuple[str, ...], ...]]


def encoder_of(section: Section, first_column: int) -> Encode:
    """Return the function from n-grams to codes; those that the section does not know are left out."""
    if isinstance(section.terms, Hashing):
        return _hash_encoder(section.terms.width, first_column, signed=section.signed)
    get = section.terms.get

    def encode(ngrams: Sequence[str]) -> list[int]:
        return [2 * (first_column + column) for column in map(get, ngrams) if column is not None]

    return encode


def _hash_encoder(width: int, first_column: int, *, signed: bool) -> Encode:
    def code(ngram: str) -> int:
        value: int = murmurhash3_32(ngram.encode("utf-8"), seed=0)
        # The absolute value of the lowest 32-bit integer is out of range; scikit-learn defines its column like this.
        column = (2**31 - 1 - (width - 1)) % width if value == _LOWEST_HASH else abs(value) % width
        return 2 * (first_column + column) + (signed and value < 0)

    def encode(ngrams: Sequence[str]) -> list[int]:
        return [code(ngram) for ngram in ngrams]

    return encode


@dataclass(frozen=True)
class _Cut:
    """One section's analyzer with what it needs to make codes."""

    analyzer: Analyzer
    tokenize: Callable[[str], list[str]]
    encode: Encode

    def of_chunk(self, chunk: str) -> list[int]:
        smallest, largest = self.analyzer.ngrams
        if self.analyzer.kind == "char_wb":
            return self.encode(char_wb_ngrams_of_chunk(chunk, smallest, largest))
        return self.encode(self.tokenize(chunk)) if smallest == 1 else []

    def of_tokens(self, tokens: Sequence[str]) -> list[int]:
        smallest, largest = self.analyzer.ngrams
        return self.encode(word_ngrams(tokens, max(smallest, 2), largest))

    def of_text(self, text: str) -> list[int]:
        smallest, largest = self.analyzer.ngrams
        if self.analyzer.kind == "char":
            return self.encode(char_ngrams(text, smallest, largest))
        return self.encode(word_ngrams(self.tokenize(text), smallest, largest))


@dataclass
class Source:
    """One field of the record, preprocessed in one way, and the sections that read it.

    Remembering is safe under several threads: entries are immutable, and a lost write only costs the work again.

    Attributes:
        column: The record's field.
        lowercase: Whether the text is lower-cased.
        accents: How accents are stripped.
    """

    column: str
    lowercase: bool
    accents: str | None
    _by_chunk: list[_Cut] = field(default_factory=list)
    _by_tokens: list[_Cut] = field(default_factory=list)
    _by_text: list[_Cut] = field(default_factory=list)
    _young: dict[str, Entry] = field(default_factory=dict)
    _old: dict[str, Entry] = field(default_factory=dict)
    _bytes: int = 0

    def __post_init__(self) -> None:
        self._preprocess = preprocess_of(lowercase=self.lowercase, accents=self.accents)
        # Lower-casing and NFKD look no further than whitespace, so they can be done chunk by chunk; stripping to ASCII may delete
        # whitespace itself, and so joins chunks.
        self._late = self.accents != "ascii"

    def add(self, section: Section, first_column: int) -> None:
        """Let a section read this source; its codes start at twice `first_column`."""
        cut = _Cut(section.analyzer, tokenizer_of(section.analyzer), encoder_of(section, first_column))
        if not section.analyzer.by_chunk:
            self._by_text.append(cut)
            return
        self._by_chunk.append(cut)
        if section.analyzer.kind == "word" and section.analyzer.ngrams[1] > 1:
            self._by_tokens.append(cut)

    def codes(self, text: str) -> list[bytes]:
        """Return the codes of a text's n-grams, repeated as often as they occur, as runs of native 32-bit integers."""
        runs: list[bytes] = []
        if self._by_chunk:
            get = self._young.get
            chunks = (text if self._late else self._preprocess(text)).split()
            entries = [get(chunk) or self._remember(chunk) for chunk in chunks]
            runs = [entry[0] for entry in entries]
            for position, cut in enumerate(self._by_tokens):
                tokens = [token for entry in entries for token in entry[1][position]]
                runs.append(array("i", cut.of_tokens(tokens)).tobytes())
        if self._by_text:
            text = self._preprocess(text)
            runs.extend(array("i", cut.of_text(text)).tobytes() for cut in self._by_text)
        return runs

    def _remember(self, chunk: str) -> Entry:
        entry = self._old.get(chunk) or self._make(chunk)
        if len(chunk) <= LONGEST_CHUNK:
            if self._bytes > GENERATION_BYTES:
                self._old, self._young, self._bytes = self._young, {}, 0
            self._young[chunk] = entry
            self._bytes += len(entry[0]) + ENTRY_BYTES
        return entry

    def _make(self, chunk: str) -> Entry:
        pieces = self._preprocess(chunk).split() if self._late else [chunk]
        codes = array("i", [code for cut in self._by_chunk for piece in pieces for code in cut.of_chunk(piece)])
        tokens = tuple(tuple(token for piece in pieces for token in cut.tokenize(piece)) for cut in self._by_tokens)
        return codes.tobytes(), tokens


def sources_of(sections: Sequence[Section]) -> tuple[Source, ...]:
    """Return one source for each field and preprocessing, its sections' columns numbered one after the other."""
    sources: dict[tuple[str, bool, str | None], Source] = {}
    first_column = 0
    for section in sections:
        analyzer = section.analyzer
        key = (section.column, analyzer.lowercase, analyzer.accents)
        sources.setdefault(key, Source(*key)).add(section, first_column)
        first_column += section.width
    return tuple(sources.values())
