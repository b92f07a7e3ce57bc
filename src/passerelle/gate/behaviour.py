"""The behaviour suite: texts whose label a person knows, texts that must get the same label, and words that must change nothing."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from passerelle.errors import UsageError, shell_word
from passerelle.gate.row_hashes import normalise
from passerelle.model.text_limits import text_fault
from passerelle.yaml_text import YamlFault, parse_yaml

#: Each case is one to a few texts to predict.
MOST_CASES = 1_000
_NAMED = 5
Text = Annotated[str, StringConstraints(min_length=1, max_length=10_000, strip_whitespace=True)]
Label = Annotated[str, StringConstraints(min_length=1, max_length=500, strip_whitespace=True)]
Word = Annotated[str, StringConstraints(max_length=200, strip_whitespace=True)]


class _SuitePart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LabelCase(_SuitePart):
    """This text must get this label."""

    text: Text
    label: Label


class WordCase(_SuitePart):
    """This word of the text must change nothing: the label stays when it is left out, or when each of others stands in its place."""

    text: Text
    word: Word = Field(min_length=1)
    instead: tuple[Word, ...] = ("",)

    @property
    def texts(self) -> tuple[str, ...]:
        """The text and its variants."""
        pattern = re.compile(rf"(?<!\w){re.escape(self.word)}(?!\w)")
        return self.text, *(" ".join(pattern.sub(other.replace("\\", r"\\"), self.text).split()) for other in self.instead)


class _File(_SuitePart):
    labels: tuple[LabelCase, ...] = ()
    same: tuple[Annotated[tuple[Text, ...], Field(min_length=2)], ...] = ()
    unchanged: tuple[WordCase, ...] = ()


@dataclass(frozen=True)
class BehaviourSuite:
    """The cases of a suite.

    Attributes:
        labels: Texts, each with its label.
        same: Texts that get the same label, each group with the name of its case.
        digest: Of the file.
    """

    labels: tuple[tuple[str, str], ...]
    same: tuple[tuple[str, tuple[str, ...]], ...]
    digest: str

    @property
    def texts(self) -> tuple[str, ...]:
        """Every text, once."""
        return tuple(dict.fromkeys([text for text, _ in self.labels] + [text for _, texts in self.same for text in texts]))

    @property
    def names(self) -> frozenset[str]:
        """The labels that it asks for."""
        return frozenset(label for _, label in self.labels)


@dataclass(frozen=True)
class BehaviourResult:
    """How a model does on a suite.

    Attributes:
        cases: How many there are.
        failed: Names of the cases that the model fails, never their texts.
        unknown_labels: Labels that the suite asks for and the model does not have, each with the one that is probably meant.
        digest: Of the suite's file.
    """

    cases: int
    failed: tuple[str, ...]
    unknown_labels: tuple[tuple[str, str | None], ...]
    digest: str

    @property
    def share(self) -> float:
        """The share of the cases that pass."""
        return 1 - len(self.failed) / self.cases


def read_suite(name: str, content: bytes) -> BehaviourSuite:
    """Return the suite that a file holds.

    Args:
        name: Of the file, for messages.
        content: Of the file.

    Raises:
        UsageError: It is no such YAML, has no case or too many, or contradicts itself; names the case.
    """
    hint = f"git diff {shell_word(name)}"
    try:
        found = _File.model_validate(_as_tuples(parse_yaml(content)), strict=True)
    except YamlFault as error:
        raise UsageError(f"the behaviour suite {name} is not usable: {error}", hint=hint) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        message = "unknown key" if first["type"] == "extra_forbidden" else first["msg"]
        problem = f"{where}: {message}" if where else "it holds none of the keys labels, same and unchanged"
        raise UsageError(f"the behaviour suite {name} is not usable: {problem}", hint=hint) from None
    if wrong := _problem(found):
        raise UsageError(f"the behaviour suite {name} is not usable: {wrong}", hint=hint)
    labels = tuple((case.text, case.label) for case in found.labels)
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return BehaviourSuite(labels, tuple(_same(found)), digest)


def behaviour_of(suite: BehaviourSuite, classes: Sequence[str], predict: Callable[[Sequence[str]], Sequence[str]]) -> BehaviourResult:
    """Return how a model does on the suite.

    Args:
        classes: That the model knows.
        predict: Returns the model's label of each text.
    """
    given: Mapping[str, str] = dict(zip(suite.texts, predict(suite.texts), strict=True))
    failed = [f"labels {place}" for place, (text, label) in enumerate(suite.labels, start=1) if given[text] != label]
    failed += [name for name, texts in suite.same if len({given[text] for text in texts}) > 1]
    unknown = [(name, next(iter(difflib.get_close_matches(name, classes, n=1)), None)) for name in sorted(suite.names - set(classes))]
    return BehaviourResult(len(suite.labels) + len(suite.same), tuple(failed), tuple(unknown), suite.digest)


def _same(found: _File) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield from ((f"same {place}", texts) for place, texts in enumerate(found.same, start=1))
    yield from ((f"unchanged {place}", case.texts) for place, case in enumerate(found.unchanged, start=1))


def _problem(found: _File) -> str | None:
    """Return what is wrong with the cases, by themselves or with each other."""
    cases = len(found.labels) + len(found.same) + len(found.unchanged)
    if not 1 <= cases <= MOST_CASES:
        return f"{cases:,} cases, where 1 to {MOST_CASES:,} are read"
    for place, case in enumerate(found.unchanged, start=1):
        # The variants have single spaces, and the text may have others.
        distinct = {" ".join(text.split()) for text in case.texts}
        if len(case.texts) == 1 or len(distinct) < len(case.texts):
            return f"unchanged {place}: the word is not in the text as a whole word, or stands for itself"
        if not all(case.texts):
            return f"unchanged {place}: nothing is left of the text without the word"
    named = [(f"labels {place}", case.text) for place, case in enumerate(found.labels, start=1)]
    named += [(name, text) for name, texts in _same(found) for text in texts]
    faults = [(name, fault) for name, text in named if (fault := text_fault(text))]
    if faults:
        return f"{faults[0][0]}: the service refuses the text: {faults[0][1]}"
    return _contradiction(found)


def _contradiction(found: _File) -> str | None:
    """Return the first case that no model can meet together with the earlier ones."""
    parents: dict[str, str] = {}
    labels: dict[str, tuple[str, str]] = {}

    def root(text: str) -> str:
        while parents.setdefault(text, text) != text:
            text = parents[text]
        return text

    for place, case in enumerate(found.labels, start=1):
        name, earlier = f"labels {place}", labels.get(root(normalise(case.text)))
        if earlier and earlier[1] != case.label:
            return f"{name} asks '{case.label}' of a text of which {earlier[0]} asks '{earlier[1]}'"
        labels[root(normalise(case.text))] = (name, case.label)
    for name, texts in _same(found):
        first = root(normalise(texts[0]))
        for text in texts[1:]:
            other = root(normalise(text))
            ours, theirs = labels.get(first), labels.get(other)
            if ours and theirs and ours[1] != theirs[1]:
                return f"{name} asks the same label of texts of which {ours[0]} asks '{ours[1]}' and {theirs[0]} '{theirs[1]}'"
            parents[other] = first
            if theirs:
                labels[first] = theirs
    return None


def named_cases(cases: Sequence[str]) -> str:
    """Return the names of the first cases."""
    return ", ".join(cases[:_NAMED]) + (f" and {len(cases) - _NAMED} more" if len(cases) > _NAMED else "")


def _as_tuples(content: object) -> object:
    if isinstance(content, dict):
        return {key: _as_tuples(value) for key, value in content.items()}
    return tuple(map(_as_tuples, content)) if isinstance(content, list) else content
