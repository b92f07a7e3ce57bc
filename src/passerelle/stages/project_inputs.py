"""What a project gives the gate: the reference and the behaviour suite that its criteria name, and the rows of a training."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from passerelle.criteria import Criteria, Reference
from passerelle.errors import DataError, IntegrityError, PasserelleError, UsageError
from passerelle.gate.behaviour import BehaviourSuite, read_suite
from passerelle.gate.gate_inputs import AllRows, GateInputs
from passerelle.gate.messages import english_quotes
from passerelle.gate.reference import ReferenceRows, checked
from passerelle.gate.row_checks import with_meant
from passerelle.model.manifest import digest_of_file
from passerelle.names import DATA_DIGEST, MIN_CLASS_ROWS, OTHER_CLASS, REFERENCE_DIGEST, ModelVersionRef
from passerelle.project_file import read_project_file
from passerelle.registry.client import Registry
from passerelle.stages.promote_rows import read_rows
from passerelle.training.dataset import read_data
from passerelle.training.params import Params
from passerelle.training.plan import prepare
from passerelle.training.rare_classes import RareClasses
from passerelle.yaml_text import MOST_BYTES

_CRITERIA = "cat training/criteria.yaml"


def gate_inputs(registry: Registry, ref: ModelVersionRef, criteria: Criteria, project: Path) -> GateInputs:
    """Return what the project gives to judge a version by.

    Args:
        project: Its root folder, below which the files lie that the criteria name.

    Raises:
        DataError, IntegrityError, UsageError: A file that the criteria name is not there, is another one, or is not usable.
    """
    reference = reference_of(criteria, project)
    return GateInputs(reference, _suite(criteria, project), _training_rows(registry, ref, project, reference))


def reference_of(criteria: Criteria, project: Path) -> ReferenceRows | None:
    """Return the reference that the criteria pin; None where they pin none.

    Raises:
        As `gate_inputs`.
    """
    rule = criteria.held_out.reference
    if rule is None:
        return None
    path = project / rule.file
    try:
        # The digest comes first: a file that nobody pinned is not parsed.
        digest = digest_of_file(path)
        if digest != rule.digest:
            raise _another(rule, digest)
        rows = read_rows(path, (rule.label,), source=f"the reference {rule.file}")
    except OSError as error:
        raise DataError(f"the reference {rule.file} cannot be read: {error.strerror}", hint=_CRITERIA) from error
    except DataError as error:
        raise DataError(error.message, hint=_CRITERIA) from error
    return checked(rule, rows, digest=digest, least=criteria.held_out.rows)


def notes_on_classes(criteria: Criteria, classes: Sequence[str]) -> tuple[str, ...]:
    """Say which classes the criteria ask for and the data does not have, each with the one that is probably meant."""
    lacking = sorted(set(criteria.held_out.classes) - set(classes))
    meant = [(label, next(iter(difflib.get_close_matches(label, classes, n=1)), None)) for label in lacking]
    return tuple(
        f"held_out.classes of the criteria names {english_quotes(with_meant([each]))}, which the data does not have" for each in meant
    )


def _another(rule: Reference, digest: str) -> IntegrityError:
    message = f"the reference {rule.file} is not the file that the criteria pin: its digest is {digest}, theirs {rule.digest}"
    return IntegrityError(f"{message}; a new reference is a decision: write its digest into held_out.reference", hint=_CRITERIA)


def _suite(criteria: Criteria, project: Path) -> BehaviourSuite | None:
    rule = criteria.held_out.behaviour
    if rule is None:
        return None
    try:
        with (project / rule.file).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"the behaviour suite {rule.file} cannot be read: {error.strerror}", hint=_CRITERIA) from error
    suite = read_suite(rule.file, content)
    if rule.digest not in {None, suite.digest}:
        message = f"the behaviour suite {rule.file} is not the file that the criteria pin: its digest is {suite.digest}"
        raise IntegrityError(message, hint=_CRITERIA)
    return suite


def _training_rows(registry: Registry, ref: ModelVersionRef, project: Path, reference: ReferenceRows | None) -> Callable[[], AllRows | str]:
    """Return how to read the rows that a version was trained on: the project's data file, where it is still the same."""

    @cache
    def read() -> AllRows | str:
        tags = registry.run(ref.run_id).tags
        try:
            file = read_project_file(project)
            model = file.model(ref.registered_model) or file.models[0]
            if model.data is None:
                return "passerelle.toml names no data of this model: write its file below the model's data"
            features = model.data.feature_columns or None
            path, columns = project / model.data.file, model.data.text_columns
            data = read_data(path, text_column=columns, label_column=model.data.label_column, feature_columns=features)
            rare = RareClasses(int(tags.get(MIN_CLASS_ROWS, "0")), tags.get(OTHER_CLASS))
            found = prepare(data, params=Params(), rare=rare, reference=reference if REFERENCE_DIGEST in tags else None).data
        except (PasserelleError, OSError, ValueError) as error:
            way_out = f"put the file whose digest is {tags.get(DATA_DIGEST, 'not recorded')} where passerelle.toml names it"
            return f"the project's data cannot be read ({type(error).__name__}): {way_out}"
        if found.digest != tags.get(DATA_DIGEST):
            way_out = f"put the file whose digest is {tags.get(DATA_DIGEST, 'not recorded')} there, or train again on this one"
            return f"{model.data.file} is not what it was trained on: {way_out}"
        return AllRows(found.records, found.labels.to_numpy(dtype=np.str_), found.source)

    return read
