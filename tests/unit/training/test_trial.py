"""A candidate that cannot be saved, or not served, is found by a tiny fit, and told with the line to change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from passerelle.errors import UsageError
from passerelle.training.candidate import Candidate, FailedCandidate, names_as_tag
from passerelle.training.dataset import Dataset
from passerelle.training.trial import Chosen, choose
from training.candidates import tabular_candidates, text_candidates

TEXTS = [f"{word} numéro {number}" for word in ("dossier perdu", "mot de passe") for number in range(12)]
DATA = Dataset(pd.DataFrame({"text": TEXTS}), pd.Series(["a"] * 12 + ["b"] * 12), "sha256:0", "comments.csv", "text")


def tokens(text: str) -> list[str]:
    return text.split()


class Own(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    def fit(self, _: object, labels: Any) -> Own:
        self.classes_ = np.unique(labels)
        return self


def candidate(*steps: Any, trusted_types: tuple[str, ...] = (), **options: Any) -> Candidate:
    features = ColumnTransformer([("words", TfidfVectorizer(**options), "text")])
    return Candidate("own", "one's own", make_pipeline(features, *(steps or [LogisticRegression()])), trusted_types)


def chosen(*candidates: Candidate, names: tuple[str, ...] = (), data: Dataset = DATA) -> Chosen:
    return choose(candidates, names, data, progress=lambda _: None)


def failure(each: Candidate) -> FailedCandidate:
    (found,) = chosen(text_candidates()[0], each).failed
    return found


def test_the_projects_candidates_can_all_be_saved() -> None:
    assert [each.name for each in chosen(*text_candidates()).candidates] == [each.name for each in text_candidates()]
    records = pd.DataFrame({"size": np.arange(24.0), "colour": ["red", "blue"] * 12})
    data = Dataset(records, DATA.labels, "", "c", "tabular")
    assert len(chosen(*tabular_candidates(["size"], ["colour"]), data=data).candidates) == 3


@pytest.mark.parametrize(
    ("each", "reason", "hint"),
    [
        (
            candidate(tokenizer=lambda text: text.split(), token_pattern=None),
            "cannot be saved: it holds tests.unit.training.test_trial.<lambda>, which is not there where the model is served",
            "passerelle train --candidate own",
        ),
        (
            candidate(tokenizer=tokens, token_pattern=None),
            "cannot be served: it holds tests.unit.training.test_trial.tokens, which is not trusted",
            "export PASSERELLE_TRUSTED_TYPES=sklearn,numpy,scipy,tests.unit.training.test_trial.tokens; passerelle train --candidate own",
        ),
        (
            candidate(Own()),
            "cannot be served: it holds tests.unit.training.test_trial.Own, which is not trusted",
            "export PASSERELLE_TRUSTED_TYPES=sklearn,numpy,scipy,tests.unit.training.test_trial.Own; passerelle train --candidate own",
        ),
        (
            candidate(TruncatedSVD(2), RandomForestClassifier()),
            'cannot be saved: in candidates.py, add "sklearn.tree._tree.Tree" to its trusted_types',
            "passerelle train --candidate own",
        ),
    ],
    ids=["lambda", "function", "class", "undeclared"],
)
def test_what_cannot_be_saved_or_served_is_told_with_its_type_and_what_to_change(each: Candidate, reason: str, hint: str) -> None:
    found = failure(each)
    assert found.reason.startswith(reason), found.reason
    assert (found.name, found.hint) == ("own", hint)
    with pytest.raises(UsageError, match="no candidate can be trained: 'own' cannot be"):
        chosen(each)


def test_a_function_of_the_project_itself_is_not_there_where_the_model_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "__module__", "training.candidates")
    monkeypatch.setattr("training.candidates.tokens", tokens, raising=False)
    found = failure(candidate(tokenizer=tokens, token_pattern=None))
    assert "it holds training.candidates.tokens, which is not there where the model is served" in found.reason


def test_a_trusted_function_is_trained_once_it_is_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"{__name__}.tokens"
    monkeypatch.setenv("PASSERELLE_TRUSTED_TYPES", f"sklearn,numpy,scipy,{name}")
    assert f'add "{name}" to its trusted_types' in failure(candidate(tokenizer=tokens, token_pattern=None)).reason
    assert not chosen(candidate(tokenizer=tokens, token_pattern=None, trusted_types=(name,))).failed


def test_a_candidate_that_needs_more_records_than_a_tiny_fit_has_is_left_to_the_real_one() -> None:
    assert not chosen(candidate(min_df=1000)).failed


def test_candidates_are_chosen_by_name_in_their_own_order() -> None:
    some = chosen(*text_candidates(), names=("mixed_lr", "word_lr", "word_lr"))
    assert names_as_tag(some.candidates) == "word_lr,mixed_lr"
    with pytest.raises(UsageError, match="no candidate 'mixed_rl'; it defines word_lr, mixed_lr, ") as refused:
        chosen(*text_candidates(), names=("mixed_rl",))
    assert refused.value.hint == "passerelle train --candidate mixed_lr"


def test_a_project_without_candidates_or_with_two_of_one_name_is_told_so() -> None:
    with pytest.raises(UsageError, match="returns no candidate for this data"):
        chosen()
    with pytest.raises(UsageError, match="gives the name 'own' to several candidates"):
        chosen(candidate(), candidate(min_df=2))
