"""A logged model, tried in its own environment: how it takes records, what it does with them, and its golden predictions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from passerelle.errors import GoldenError, UsageError, shell_word
from passerelle.model.adoption import Adoption, InputForm
from passerelle.model.boundaries import telling_places
from passerelle.model.flavors.logged import VECTORS
from passerelle.model.golden import golden_content, same_value
from passerelle.model.hosted import HostedModel, Outputs
from passerelle.settings import LoadingSettings
from passerelle.stages.golden_inputs import GoldenInputs, Record

_FORMS_OF_A_TEXT: tuple[InputForm, ...] = ("table", "list", "series", "array")
#: Examples near the boundaries between classes.
_NEAR_BOUNDARIES = 8
#: Inputs that are predicted one by one too.
_ALONE = 8


@dataclass(frozen=True)
class LoggedModel:
    """What is tried.

    Attributes:
        folder: Holds the model's directory.
        draft: What is known of the model before it was loaded.
        python: Interpreter of its environment.
        address: Of the model, for hints.
        text_column: The one column of a model of texts; None for any other.
    """

    folder: Path
    draft: Adoption
    python: Path
    settings: LoadingSettings
    address: str
    text_column: str | None

    @contextmanager
    def hosted(self, form: InputForm = "table") -> Iterator[HostedModel]:
        """Yield the model in a process of its own."""
        hosted = HostedModel(self.folder, replace(self.draft, input_form=form), python=self.python, settings=self.settings)
        try:
            yield hosted
        finally:
            hosted.close()


@dataclass(frozen=True)
class Tried:
    """What came of it.

    Attributes:
        adoption: The draft with the task and the form of its inputs.
        golden: The content of golden.json.
        classes: The labels; empty for a model without.
    """

    adoption: Adoption
    golden: Mapping[str, Any]
    classes: tuple[Any, ...]
    warnings: tuple[str, ...] = ()


def tried(model: LoggedModel, inputs: GoldenInputs) -> Tried:
    """Return what the model does, with the golden predictions that it gives now.

    Raises:
        UsageError: The model refuses an example, or all inputs, or a label has no name.
        IntegrityError: The model cannot be read, or answers otherwise on each call.
    """
    form = _form(model, inputs.records)
    with model.hosted(form) as hosted:
        kept, warnings, examples = _accepted(hosted, inputs, model)
        kept[examples:examples] = _telling(hosted, inputs.others)
        outputs = hosted.predict(kept)
        _check_steady(hosted, kept, outputs)
        labels = _labels(model.draft.labels, hosted.classes, model.address)
        origin = inputs.origin if examples or inputs.origin == "examples" else "signature"
        adoption = replace(model.draft, task=hosted.task, input_form=form, labels=labels, golden_origin=origin)  # type: ignore[arg-type]
        golden = golden_content(kept, outputs.values, hosted.classes, outputs.probabilities, vectors=_vectors(hosted))
        return Tried(adoption, golden, hosted.classes, tuple(warnings))


def _telling(hosted: HostedModel, others: Sequence[Record]) -> list[Record]:
    """Return the examples near the boundaries between classes, and one of each class that the model gives; none of another task."""
    if not others or hosted.task != "classification":
        return []
    try:
        outputs = hosted.predict(others)
    except ValueError:  # one of them is refused, which the operator need not know of an example that is not kept
        return []
    probabilities = None if outputs.probabilities is None else np.asarray(outputs.probabilities, dtype=np.float64)
    return [others[place] for place in telling_places(outputs.values, hosted.classes, probabilities, most=_NEAR_BOUNDARIES)]


def _form(model: LoggedModel, records: Sequence[Record]) -> InputForm:
    """Return how the model takes its records: what was fitted on texts and is given a table predicts the names of its columns."""
    if model.text_column is None:
        return "table"
    texts = {str(record.get(model.text_column)): record for record in records if record.get(model.text_column)}
    samples = list(texts.values())[:_ALONE]
    same: InputForm | None = None
    for form in _FORMS_OF_A_TEXT:
        with model.hosted(form) as hosted:
            try:
                outputs = hosted.predict(samples)
            except ValueError:
                continue
        if _differ(outputs):
            return form
        same = same or form
    return same or "table"


def _differ(outputs: Outputs) -> bool:
    """Return whether two of the answers are different."""
    return len({json.dumps(row, sort_keys=True) for row in zip(outputs.values, *filter(None, [outputs.probabilities]), strict=True)}) > 1


def _accepted(hosted: HostedModel, inputs: GoldenInputs, model: LoggedModel) -> tuple[list[Record], list[str], int]:
    """Return the inputs that the model takes, what to say of those that it does not, and how many of them are examples."""
    try:
        hosted.predict(inputs.records)
    except ValueError:
        pass
    else:
        return list(inputs.records), [], inputs.examples
    kept, warnings, examples, last = [], [], 0, ""
    for place, record in enumerate(inputs.records):
        try:
            hosted.predict([record])
        except ValueError as error:
            last = str(error)
            if place < inputs.examples and inputs.origin == "examples":
                message = f"the model refuses row {place + 1} of the examples that are kept: {error}"
                raise UsageError(message, hint=f"passerelle adopt {shell_word(model.address)}") from error
            if place < inputs.examples:
                warnings.append(f"the model refuses row {place + 1} of its own input example: {error}")
            continue
        kept.append(record)
        examples += place < inputs.examples
    if not kept:
        message = f"the model refuses every input that was made from its signature: {last}"
        again = f"passerelle adopt {model.address}"
        raise UsageError(message, hint=f"{again} --examples FILE\n{again} --signature FILE")
    return kept, warnings, examples


def _check_steady(hosted: HostedModel, records: Sequence[Record], outputs: Outputs) -> None:
    """Check that the model answers the same when it is asked again, and when it is asked for one record alone.

    Raises:
        IntegrityError: It does not.
    """
    hint = "passerelle adopt --help"
    vectors = _vectors(hosted)
    if not _same(outputs, hosted.predict(records), vectors=vectors):
        raise GoldenError("the model answers otherwise on each call: no golden prediction can hold, and no answer can be traced", hint=hint)
    for place, record in enumerate(records[:_ALONE]):
        probabilities = None if outputs.probabilities is None else outputs.probabilities[place : place + 1]
        if not _same(Outputs(outputs.values[place : place + 1], probabilities), hosted.predict([record]), vectors=vectors):
            message = "the model answers a record otherwise when others are asked with it: a service predicts requests together"
            raise GoldenError(message, hint=hint)


def _vectors(hosted: HostedModel) -> bool:
    """Return whether each answer of the model is one vector."""
    return hosted.adoption.flavor in VECTORS


def _same(one: Outputs, other: Outputs, *, vectors: bool) -> bool:
    """Return whether two outputs are the same, but for rounding."""
    rows = [None if each.probabilities is None else [list(row) for row in each.probabilities] for each in (one, other)]
    pairs = zip(one.values, other.values, strict=True)
    return all(same_value(*pair, vectors=vectors) for pair in pairs) and same_value(*rows)


def _labels(given: Mapping[str, str], classes: Sequence[Any], address: str) -> dict[str, str]:
    """Return the name of each class by the class as JSON.

    Raises:
        UsageError: A class has no name, or a name is of no class.
    """
    if not given:
        return {}
    if not classes:
        message = "--labels names labels, and the model does not give any"
        raise UsageError(message, hint=f"passerelle adopt {shell_word(address)}")
    by_json = {json.dumps(label, ensure_ascii=False): label for label in classes}
    found = {key: given.get(key, given.get(json.dumps(str(label), ensure_ascii=False))) for key, label in by_json.items()}
    missing = next((key for key, name in found.items() if name is None), None)
    if missing is not None:
        message = f"--labels has no name for the label {missing}: the model gives {', '.join(by_json)}"
        raise UsageError(message, hint=f"passerelle adopt {shell_word(address)} --labels FILE")
    unknown = next((key for key in given if key not in by_json and _plain(key) not in map(str, classes)), None)
    if unknown is not None:
        message = f"--labels names {unknown}, which the model does not give: it gives {', '.join(by_json)}"
        raise UsageError(message, hint=f"passerelle adopt {shell_word(address)} --labels FILE")
    return {key: str(name) for key, name in found.items()}


def _plain(key: str) -> str:
    return str(json.loads(key))
