"""Text to the codes of its n-grams, with the chunks of ordinary language remembered.

Codes are made per source: a field of the record, preprocessed in one way, which several vectorizers may share. What is remembered of
a chunk is its codes and its share of the n-grams that cross whitespace.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np

from passerelle.scorer.analyzers import (
    Analyzer,
    char_ngrams,
    char_ngrams_in_slices,
    char_wb_ngrams_of_chunk,
    char_wb_ngrams_of_chunk_in_slices,
    preprocess_of,
    tokenizer_of,
    word_ngrams,
    word_ngrams_in_slices,
)
from passerelle.scorer.encoding import CrossingNgrams, Encode, TextTableCodes, crossing_ngrams_of, encoder_of
from passerelle.scorer.pairs import Codes, Places
from passerelle.scorer.sections import Section

#: A longer chunk is cut again each time: it is not a word, and a client could fill the memory with such chunks.
LONGEST_CHUNK = 48
#: Approximate size of one generation of remembered chunks; two generations exist at a time.
GENERATION_BYTES = 8 * 2**20
#: n-grams of a long text that are cut between two places where the work may be interrupted.
SLICE = 512
#: The work for each character of a new chunk, in multiples of the work for a remembered chunk.
UNSEEN = 4
#: Memory of a remembered chunk besides its codes: dict slot, key, tuples, objects' headers.
ENTRY_BYTES = 400


class ChunkCodes(NamedTuple):
    """What is remembered of a chunk.

    Attributes:
        codes: Native 32-bit integers.
        shares: For each section with n-grams that cross whitespace, its share of the chunk's tokens.
        ngrams: How many n-grams it has, known or not; one that crosses whitespace counts where it begins.
    """

    codes: bytes
    shares: tuple[Any, ...]
    ngrams: int


#: `ChunkCodes.ngrams`, for all chunks of a text.
_NGRAMS = itemgetter(2)


class TextCodes(NamedTuple):
    """What a text is to the sections of a source.

    Attributes:
        runs: Codes of the known n-grams, as often as they occur, in runs of native 32-bit integers.
        ngrams: How many n-grams the text has, known or not.
    """

    runs: list[bytes | Codes]
    ngrams: int


@dataclass(frozen=True)
class _Cut:
    """One section's analyzer with what it needs to make codes."""

    analyzer: Analyzer
    tokenize: Callable[[str], list[str]]
    encode: Encode

    def of_chunk(self, chunk: str) -> list[str]:
        smallest, largest = self.analyzer.ngrams
        if self.analyzer.kind == "char_wb":
            return char_wb_ngrams_of_chunk(chunk, smallest, largest)
        return self.tokenize(chunk) if smallest == 1 else []

    def of_text(self, text: str) -> list[str]:
        smallest, largest = self.analyzer.ngrams
        if self.analyzer.kind == "char":
            return char_ngrams(text, smallest, largest)
        return word_ngrams(self.tokenize(text), smallest, largest)

    def of_chunk_in_slices(self, chunk: str) -> Iterator[list[str]]:
        smallest, largest = self.analyzer.ngrams
        if self.analyzer.kind == "char_wb":
            yield from char_wb_ngrams_of_chunk_in_slices(chunk, smallest, largest, SLICE)
        elif smallest == 1:
            yield from word_ngrams_in_slices(self.tokenize(chunk), 1, 1, SLICE)

    def of_text_in_slices(self, text: str) -> Iterator[list[str]]:
        smallest, largest = self.analyzer.ngrams
        if self.analyzer.kind == "char":
            yield from char_ngrams_in_slices(text, smallest, largest, SLICE)
        else:
            yield from word_ngrams_in_slices(self.tokenize(text), smallest, largest, SLICE)


class Source:
    """One field of the record, preprocessed in one way, and the sections that read it.

    Remembering is safe under several threads: entries are immutable, and a lost write only costs the work again.

    Attributes:
        column: The record's field.

    Args:
        column: The record's field.
        lowercase: Whether the text is lower-cased.
        accents: How accents are stripped.
    """

    def __init__(self, column: str, *, lowercase: bool, accents: str | None) -> None:
        self.column = column
        self._by_chunk: list[_Cut] = []
        self._crossing: list[tuple[_Cut, CrossingNgrams]] = []
        self._by_text: list[_Cut] = []
        # Of n tokens and n-grams of one length, the last n-gram begins before the last token.
        self._beyond_the_end = 0
        self._preprocess = preprocess_of(lowercase=lowercase, accents=accents)
        # Lower-casing and NFKD look no further than whitespace, so they can be done chunk by chunk; stripping to ASCII may delete
        # whitespace itself, and so joins chunks.
        self._late = accents != "ascii"
        self._young: dict[str, ChunkCodes] = {}
        self._old: dict[str, ChunkCodes] = {}
        self._bytes = 0

    def add(self, section: Section, first_column: int) -> None:
        """Let a section read this source; its codes start at twice `first_column`."""
        cut = _Cut(section.analyzer, tokenizer_of(section.analyzer), encoder_of(section, first_column))
        if not section.analyzer.by_chunk:
            self._by_text.append(cut)
            return
        self._by_chunk.append(cut)
        if section.analyzer.kind == "word" and section.analyzer.ngrams[1] > 1:
            self._crossing.append((cut, crossing_ngrams_of(section, first_column, cut.encode)))
            self._beyond_the_end += sum(n - 1 for n in _crossing_lengths(cut))

    def forget(self) -> None:
        """Forget the chunks that were remembered."""
        self._young, self._old, self._bytes = {}, {}, 0

    def codes(self, text: str) -> TextCodes:
        """Return the codes of a text's n-grams, and how many n-grams it has."""
        runs: list[bytes | Codes] = []
        ngrams = 0
        if self._by_chunk:
            get = self._young.get
            chunks = (text if self._late else self._preprocess(text)).split()
            entries = [get(chunk) or self._remember(chunk) for chunk in chunks]
            runs = [entry[0] for entry in entries]
            for position, (_, crossing) in enumerate(self._crossing):
                runs.append(crossing.codes([entry[1][position] for entry in entries]))
            ngrams = max(0, sum(map(_NGRAMS, entries)) - self._beyond_the_end)
        if self._by_text:
            text = self._preprocess(text)
            for cut in self._by_text:
                of_text = cut.of_text(text)
                ngrams += len(of_text)
                runs.append(np.array(cut.encode(of_text), dtype=np.int32))
        return TextCodes(runs, ngrams)

    def codes_of_texts(self, texts: Sequence[str]) -> TextTableCodes:
        """Return what `codes` returns of each text, of all of them at once."""
        runs: list[tuple[Places, Codes]] = []
        ngrams = np.zeros(len(texts), dtype=np.int64)
        if self._by_chunk:
            chunks = [(text if self._late else self._preprocess(text)).split() for text in texts]
            places = np.arange(len(texts), dtype=np.int32).repeat(np.fromiter(map(len, chunks), np.int64, len(texts)))
            get = self._young.get
            entries = [get(chunk) or self._remember(chunk) for of_text in chunks for chunk in of_text]
            # One pass for all three: a text has some fifteen chunks, and each further pass takes half a microsecond of it.
            codes_of_chunks, shares, of_chunks = zip(*entries, strict=True) if entries else ((), (), ())
            codes = np.frombuffer(b"".join(codes_of_chunks), dtype=np.int32)
            lengths = np.fromiter(map(len, codes_of_chunks), np.int64, len(entries)) // codes.itemsize
            runs.append((places.repeat(lengths), codes))
            for position, (_, crossing) in enumerate(self._crossing):
                runs.append(crossing.codes_of_texts([share[position] for share in shares], places))
            np.add.at(ngrams, places, np.fromiter(of_chunks, np.int64, len(entries)))
            np.maximum(ngrams - self._beyond_the_end, 0, out=ngrams)
        if self._by_text:
            for place, text in enumerate(map(self._preprocess, texts)):
                for cut in self._by_text:
                    of_text = cut.of_text(text)
                    ngrams[place] += len(of_text)
                    codes = np.array(cut.encode(of_text), dtype=np.int32)
                    runs.append((np.full(len(codes), place, dtype=np.int32), codes))
        return TextTableCodes(np.concatenate([run[0] for run in runs]), np.concatenate([run[1] for run in runs]), ngrams)

    def codes_in_slices(self, text: str) -> Generator[None, None, TextCodes]:
        """Return what `codes` returns, in another order; yields after about `SLICE` n-grams, wherever the text may be interrupted."""
        runs: list[bytes | Codes] = []
        ngrams = 0
        if self._by_chunk:
            entries, work = [], 0
            for chunk in (text if self._late else self._preprocess(text)).split():
                entry = self._young.get(chunk)
                work += 1
                if entry is None and len(chunk) <= LONGEST_CHUNK:
                    entry = self._remember(chunk)
                    work += len(chunk) * UNSEEN
                elif entry is None:
                    entry = yield from self._make_in_slices(chunk)
                entries.append(entry)
                if work >= SLICE:
                    yield
                    work = 0
            runs = [entry[0] for entry in entries]
            for position, (_, crossing) in enumerate(self._crossing):
                for codes in crossing.codes_in_slices([entry[1][position] for entry in entries], SLICE):
                    runs.append(codes)
                    yield
            ngrams = max(0, sum(map(_NGRAMS, entries)) - self._beyond_the_end)
        if self._by_text:
            text = self._preprocess(text)
            for cut in self._by_text:
                for of_text in cut.of_text_in_slices(text):
                    ngrams += len(of_text)
                    runs.append(np.array(cut.encode(of_text), dtype=np.int32))
                    yield
        return TextCodes(runs, ngrams)

    def _make_in_slices(self, chunk: str) -> Generator[None, None, ChunkCodes]:
        """Return the entry of `_make` for a long chunk."""
        pieces = self._preprocess(chunk).split() if self._late else [chunk]
        codes, ngrams, work = array("i"), 0, 0
        for cut in self._by_chunk:
            for piece in pieces:
                for of_piece in cut.of_chunk_in_slices(piece):
                    ngrams += len(of_piece)
                    codes.extend(cut.encode(of_piece))
                    work += min(len(piece) * UNSEEN, SLICE)
                    if work >= SLICE:
                        yield
                        work = 0
        return self._entry(codes, ngrams, pieces)

    def _remember(self, chunk: str) -> ChunkCodes:
        entry = self._old.get(chunk) or self._make(chunk)
        if len(chunk) <= LONGEST_CHUNK:
            if self._bytes > GENERATION_BYTES:
                self._old, self._young, self._bytes = self._young, {}, 0
            self._young[chunk] = entry
            self._bytes += len(entry.codes) + ENTRY_BYTES
        return entry

    def _make(self, chunk: str) -> ChunkCodes:
        pieces = self._preprocess(chunk).split() if self._late else [chunk]
        codes, ngrams = array("i"), 0
        for cut in self._by_chunk:
            for piece in pieces:
                of_piece = cut.of_chunk(piece)
                ngrams += len(of_piece)
                codes.extend(cut.encode(of_piece))
        return self._entry(codes, ngrams, pieces)

    def _entry(self, codes: array[int], ngrams: int, pieces: Sequence[str]) -> ChunkCodes:
        shares = []
        for cut, crossing in self._crossing:
            tokens = [token for piece in pieces for token in cut.tokenize(piece)]
            ngrams += len(tokens) * len(_crossing_lengths(cut))
            shares.append(crossing.share(tokens))
        return ChunkCodes(codes.tobytes(), tuple(shares), ngrams)


def _crossing_lengths(cut: _Cut) -> range:
    """Return the lengths of this section's n-grams that cross whitespace."""
    smallest, largest = cut.analyzer.ngrams
    return range(max(2, smallest), largest + 1)


def sources_of(sections: Sequence[Section]) -> tuple[Source, ...]:
    """Return one source for each field and preprocessing, its sections' columns numbered one after the other."""
    sources: dict[tuple[str, bool, str | None], Source] = {}
    first_column = 0
    for section in sections:
        analyzer = section.analyzer
        key = (section.column, analyzer.lowercase, analyzer.accents)
        if key not in sources:
            sources[key] = Source(section.column, lowercase=analyzer.lowercase, accents=analyzer.accents)
        sources[key].add(section, first_column)
        first_column += section.width
    return tuple(sources.values())
