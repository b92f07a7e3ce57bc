"""Which candidates are trained: those that are asked for and that can be saved, found by saving a tiny fit of each."""

from __future__ import annotations

import difflib
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import pandas as pd
import skops.io
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline

from passerelle.errors import UsageError
from passerelle.model.trust import trusted
from passerelle.settings import LoadingSettings
from passerelle.training.candidate import Candidate, FailedCandidate, FitFailure
from passerelle.training.dataset import Dataset
from passerelle.training.model_writer import fast_schema

#: A tiny fit: so many classes, records of each, and characters of each text.
_CLASSES, _RECORDS, _CHARACTERS = 3, 6, 40
#: Of which nothing is installed where the model is served.
_OWN_MODULES = ("training.", "__main__.")
_CANDIDATES = "git diff training/candidates.py"
#: In the name of a lambda, and of what is defined within a function.
_NAMELESS = "<"


class Chosen(NamedTuple):
    """The candidates of a training.

    Attributes:
        candidates: Those that are trained.
        failed: Those that cannot be saved.
    """

    candidates: tuple[Candidate, ...]
    failed: tuple[FailedCandidate, ...]


def choose(candidates: Sequence[Candidate], names: Sequence[str], data: Dataset, *, progress: Callable[[str], None]) -> Chosen:
    """Return the candidates with these names, all of them without a name, and say which of them cannot be saved.

    Raises:
        UsageError: There is no candidate of a name, or none that can be saved; or there is none at all, or two have one name.
    """
    _check_names([each.name for each in candidates])
    selected = tuple(each for each in candidates if not names or each.name in names)
    for name in names:
        if name not in {each.name for each in candidates}:
            known = [each.name for each in candidates]
            close = difflib.get_close_matches(name, known, n=1) or known[:1]
            message = f"candidates.py defines no candidate '{name}'; it defines {', '.join(known) or 'none'}"
            raise UsageError(message, hint=f"passerelle train --candidate {close[0]}" if close else "passerelle train --help")
    few = _few(data)
    faults = [(each, _fault(each, *few)) for each in selected]
    failed = tuple(fault for _, fault in faults if fault is not None)
    for fault in failed:
        progress(f"{fault.name} is left out: it {fault.reason}")
    if len(failed) == len(selected):
        raise none_left(failed)
    return Chosen(tuple(each for each, fault in faults if fault is None), failed)


def _check_names(names: Sequence[str]) -> None:
    if not names:
        raise UsageError("candidates_for in candidates.py returns no candidate for this data", hint=_CANDIDATES)
    twice = next((name for name, times in Counter(names).items() if times > 1), None)
    if twice is not None:
        # Runs, figures and options go by the name.
        raise UsageError(f"candidates.py gives the name '{twice}' to several candidates", hint=_CANDIDATES)


def none_left(failed: Sequence[FailedCandidate]) -> UsageError:
    """Return the error of a training without any candidate left."""
    reasons = "; ".join(f"'{each.name}' {each.reason}" for each in failed)
    return UsageError(f"no candidate can be trained: {reasons}", hint=failed[0].hint)


def _few(data: Dataset) -> tuple[pd.DataFrame, pd.Series]:
    """Return a few short records of a few classes, and their labels."""
    rows = data.labels[data.labels.isin(data.classes[:_CLASSES])]
    rows = rows.groupby(rows).head(_RECORDS)
    records = data.records.loc[rows.index]
    if data.kind == "text":
        records = records.apply(lambda column: column.str.slice(0, _CHARACTERS))
    return records, rows


def _fault(candidate: Candidate, records: pd.DataFrame, labels: pd.Series) -> FailedCandidate | None:
    """Return why a candidate cannot be saved so that it is loaded where it is served; None where it can."""
    try:
        with fast_schema():
            content = skops.io.dumps(_tiny_fit(candidate.pipeline, records, labels))
        found = skops.io.get_untrusted_types(data=content)
    except Exception as error:  # noqa: BLE001 - whatever skops raises for an object that it cannot write
        again = f"passerelle train --candidate {candidate.name}"
        reason = f"cannot be saved in the skops format: {FitFailure.of(error).reason}; change its line in candidates.py"
        return FailedCandidate(candidate.name, reason, again)
    return _untrusted(candidate, found)


def _tiny_fit(pipeline: Pipeline, records: pd.DataFrame, labels: pd.Series) -> Pipeline:
    """Return a copy of the pipeline, fitted with few trees, or not fitted where so few records are not enough."""
    tiny = clone(pipeline)
    try:
        settings = tiny.get_params()
        tiny.set_params(**{name: 2 for name, value in settings.items() if name.endswith("n_estimators") and isinstance(value, int)})
        for step in settings.values():
            if isinstance(step, HistGradientBoostingClassifier):
                step.set_params(max_iter=2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return tiny.fit(records, labels.to_numpy(dtype=str))
    except Exception:  # noqa: BLE001 - a candidate of a team's, on other records than it is for; the real fit says what it raises
        return clone(pipeline)


def _untrusted(candidate: Candidate, found: Sequence[str]) -> FailedCandidate | None:
    """Return the fault of a candidate that holds types which are not trusted where it is trained or where it is served."""
    again = f"passerelle train --candidate {candidate.name}"
    operators = LoadingSettings.read().trusted_types
    foreign = sorted(name for name in found if not trusted(name, operators))
    own = [name for name in foreign if name.startswith(_OWN_MODULES) or _NAMELESS in name]
    if own:
        reason = f"cannot be saved: it holds {', '.join(own)}, which is not there where the model is served"
        return FailedCandidate(candidate.name, f"{reason}; in candidates.py, use what scikit-learn has in its place", again)
    if foreign:
        reason = f"cannot be served: it holds {', '.join(foreign)}, which is not trusted; trust it, or change its line in candidates.py"
        trust = f"export PASSERELLE_TRUSTED_TYPES={','.join(filter(None, (operators, *foreign)))}"
        return FailedCandidate(candidate.name, reason, f"{trust}; {again}")
    undeclared = sorted(set(found) - set(candidate.trusted_types))
    if undeclared:
        names = ", ".join(f'"{name}"' for name in undeclared)
        return FailedCandidate(candidate.name, f"cannot be saved: in candidates.py, add {names} to its trusted_types", again)
    return None
