"""Ten bad models, each from training to its refusal for the right reason, and a good one that passes. Shown with `pytest -rP`."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import Pipeline

from passerelle.criteria import Criteria
from passerelle.errors import RefusedError
from passerelle.names import LOOKS, ModelVersionRef
from passerelle.platform.state import RunningPlatform
from passerelle.registry.client import Registry
from passerelle.registry.look_anchors import look_param
from passerelle.registry.verified import verified_ledger
from passerelle.settings import MlflowSettings
from passerelle.stages.promote import REPORT, PromotionRequest, promote
from passerelle.stages.register import register
from passerelle.training.candidate import Candidate
from passerelle.training.dataset import Dataset, digest_of
from passerelle.training.plan import TrainingPlan
from passerelle.training.split import Split, split
from passerelle.training.train import train
from tests.platform_fixtures import COMMENTS, HERE
from training.params import PARAMS

pytestmark = pytest.mark.integration

Positions = NDArray[np.int64]
CRITERIA = Criteria.model_validate(
    {
        "held_out": {
            "minimum": {"accuracy": 0.4, "macro_f1": 0.3},
            "maximum": {"calibration_error": 0.3, "latency_p95_ms": 10},
            "rows": 20,
        },
        "champion": {"margin": 0.02, "too_few": "accept", "resamples": 500},
        "waivable": [{"check": "training_rows", "by": ["marie"]}, {"check": "never_predicted", "by": ["marie@bureau"]}],
    }
)
LOOSE = Criteria()


def pipeline(vectorizer: Any, classifier: Any, column: str = "text") -> Pipeline:
    return Pipeline([("columns", ColumnTransformer([("words", vectorizer, column)])), ("classifier", classifier)])


def words(column: str = "text") -> Pipeline:
    return pipeline(TfidfVectorizer(), LogisticRegression(max_iter=500), column)


def good() -> Pipeline:
    return pipeline(TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True), LogisticRegression(C=10, max_iter=1_000))


@dataclass(frozen=True)
class Ground:
    """A registry with a champion, and the data that challengers are trained on."""

    registry: Registry
    data: Dataset
    parts: Split
    champion: ModelVersionRef
    experiment: str

    def train(
        self, estimator: Pipeline, *, data: Dataset | None = None, parts: Split | None = None, name: str = "planted"
    ) -> ModelVersionRef:
        """Train by the real stage, on another split or other data where they are given, and register."""
        found = train(
            data or self.data,
            tracking_uri=self.registry.settings.tracking_uri,
            experiment=self.experiment,
            candidates=[Candidate(name, "planted", estimator, trusted_types=("sklearn.tree._tree.Tree",))],
            plan=TrainingPlan(data or self.data, parts or self.parts),
        )
        ref = register(self.registry, run_id=found.candidates[0].run_id, criteria=LOOSE).ref
        assert ref is not None
        return ref

    def relabelled(self, change: Callable[[pd.Series, Positions], pd.Series]) -> Dataset:
        """Return the data with other labels on the rows that are learned from."""
        labels = self.data.labels.copy()
        labels.iloc[self.parts.train] = change(labels.iloc[self.parts.train], self.parts.train)
        return replace(self.data, labels=labels)

    @property
    def biggest(self) -> list[str]:
        """The classes, the biggest first."""
        return [str(label) for label in self.data.labels.value_counts().index]


def weak_champion(parts: Split) -> Split:
    """Return a split that learns from some six of ten rows."""
    random = np.random.default_rng(1)
    return fewer(parts, np.sort(random.permutation(len(parts.train))[: int(0.6 * len(parts.train))]))


def fewer(parts: Split, kept: Positions) -> Split:
    return replace(parts, train=parts.train[kept], folds=halves(len(kept)))


def halves(count: int) -> tuple[tuple[Positions, Positions], ...]:
    places = np.arange(count)
    return tuple((places[places % 2 != half], places[places % 2 == half]) for half in (0, 1))


@pytest.fixture(scope="module")
def ground(platform: RunningPlatform) -> Iterator[Ground]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in platform.environment.items():
            patch.setenv(name, value)
        yield made_ground(platform)


def made_ground(platform: RunningPlatform) -> Ground:
    name = f"gate-{uuid.uuid4().hex[:8]}"
    registry = Registry(MlflowSettings.read(tracking_uri=platform.tracking_uri, experiment=name, registered_model=name), platform.s3)
    comments = pd.read_csv(COMMENTS)
    kept = comments[comments["label"].isin(comments["label"].value_counts().index[:5])].reset_index(drop=True)
    records, labels = kept[["text"]], kept["label"]
    data = Dataset(records=records, labels=labels, digest=digest_of(records, labels), source="gate.csv", kind="text")
    parts = split(data, params=PARAMS, seed=0)
    parts = replace(parts, folds=halves(len(parts.train)))
    made = Ground(registry, data, parts, ModelVersionRef("", 0, ""), name)
    champion = made.train(words(), parts=weak_champion(parts), name="champion")
    promote(registry, ref=champion, criteria=LOOSE, request=PromotionRequest(who="test@here", serving=HERE))
    return replace(made, champion=champion)


def leaked(ground: Ground) -> ModelVersionRef:
    everything = np.sort(np.concatenate([ground.parts.train, ground.parts.held_out]))
    return ground.train(good(), parts=replace(ground.parts, train=everything, folds=halves(len(everything))))


def label_in_text(ground: Ground) -> ModelVersionRef:
    told = ground.data.records.assign(text=ground.data.labels + " : " + ground.data.records["text"])
    return ground.train(good(), data=replace(ground.data, records=told))


def two_swapped(ground: Ground) -> ModelVersionRef:
    first, second = ground.biggest[:2]
    return ground.train(good(), data=ground.relabelled(lambda labels, _: labels.replace({first: second, second: first})))


def four_permuted(ground: Ground) -> ModelVersionRef:
    """Train on data in which four classes changed their names, the held-out rows too: by its own labels the model is a good one."""
    new = dict(zip(ground.biggest[:4], [*ground.biggest[1:4], ground.biggest[0]], strict=True))
    return ground.train(good(), data=replace(ground.data, labels=ground.data.labels.replace(new)))


def one_never(ground: Ground) -> ModelVersionRef:
    gone, other = ground.biggest[2], ground.biggest[0]

    def change(labels: pd.Series, _: Any) -> pd.Series:
        places = np.flatnonzero(labels == gone)
        changed = labels.copy()
        changed.iloc[places[4:]] = other
        return changed

    return ground.train(words(), data=ground.relabelled(change))


def only_the_biggest(ground: Ground) -> ModelVersionRef:
    def change(labels: pd.Series, _: Any) -> pd.Series:
        changed = labels.copy()
        others = np.flatnonzero(labels != ground.biggest[0])
        changed.iloc[others] = np.random.default_rng(0).permutation(labels.iloc[others])
        return changed

    return ground.train(good(), data=ground.relabelled(change))


def over_confident(ground: Ground) -> ModelVersionRef:
    return ground.train(pipeline(CountVectorizer(analyzer="char_wb", ngram_range=(1, 2)), MultinomialNB(alpha=1e-9)))


def too_slow(ground: Ground) -> ModelVersionRef:
    return ground.train(pipeline(TfidfVectorizer(), RandomForestClassifier(n_estimators=400, max_depth=12, random_state=0)))


def other_signature(ground: Ground) -> ModelVersionRef:
    renamed = replace(ground.data, records=ground.data.records.rename(columns={"text": "comment"}), kind="tabular")
    return ground.train(words("comment"), data=renamed)


def other_libraries(ground: Ground) -> ModelVersionRef:
    return ground.train(good(), name="libraries")


def a_tenth(ground: Ground) -> ModelVersionRef:
    labels = ground.data.labels.iloc[ground.parts.train].to_numpy()
    kept = np.concatenate([np.flatnonzero(labels == label)[: max(4, int(np.sum(labels == label)) // 10)] for label in ground.biggest])
    return ground.train(good(), parts=fewer(ground.parts, np.sort(kept)))


PLANTED: dict[str, tuple[Callable[[Ground], ModelVersionRef], str, str]] = {
    "trained on leaked test rows": (leaked, "leakage", "held-out rows were learned from"),
    "the label leaked into the text": (label_in_text, "label_in_text", "the label leaked into the text"),
    "two classes swapped": (two_swapped, "swapped", "get each other's label"),
    "four classes permuted in all of the data": (four_permuted, "contradictions", "have another label there"),
    "one class never predicted": (one_never, "never_predicted", "never predicted"),
    "better on the biggest class only": (only_the_biggest, "champion", "worse than version"),
    "over-confident": (over_confident, "calibration_error", "calibration_error is"),
    "too slow": (too_slow, "latency_p95_ms", "latency_p95_ms is"),
    "another signature": (other_signature, "signature", "clients would break"),
    "made by other libraries": (other_libraries, "libraries", "the serving image has"),
    "trained on a tenth of the data": (a_tenth, "training_rows", "it learned from"),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_a_bad_model_is_refused_for_the_right_reason(ground: Ground, planted: str) -> None:
    make, check, reason = PLANTED[planted]
    ref = make(ground)
    serving = {"scikit-learn": "1.5.2"} if check == "libraries" else HERE
    with pytest.raises(RefusedError, match=reason):
        promote(ground.registry, ref=ref, criteria=CRITERIA, request=PromotionRequest(who="test@here", serving=serving))
    found = ground.registry.read_json(ref.run_id, "gate/verdict.json")
    failed = {each["check"]: each["message"] for each in found["findings"] if not each["passed"]}
    assert check in failed
    assert ground.registry.aliases(ground.registry.settings.registered_model)["production"] == ground.champion.version
    assert verified_ledger(ground.registry, ground.registry.settings.registered_model).number == 1
    sys.stdout.write(f"| {planted} | refused | {failed[check]} |\n")


def test_waiving_is_for_those_whom_the_criteria_name(ground: Ground) -> None:
    ref = a_tenth(ground)
    request = PromotionRequest(who="paul@bureau", serving=HERE, waive=("training_rows", "never_predicted"), reason="le reste manque")
    with pytest.raises(RefusedError, match="only by marie, not by paul@bureau"):
        promote(ground.registry, ref=ref, criteria=CRITERIA, request=request)
    criteria = CRITERIA.model_copy(update={"champion": CRITERIA.champion.model_copy(update={"margin": 1.0})})
    loose = criteria.model_copy(update={"held_out": LOOSE.held_out})
    planned = promote(ground.registry, ref=ref, criteria=loose, request=replace(request, who="marie@bureau"), dry_run=True)
    assert planned.changed
    waived = {finding.check: finding.waived for finding in planned.findings if finding.waived}
    assert waived["training_rows"] == "marie@bureau: le reste manque"
    assert set(waived) <= {"training_rows", "never_predicted"}


def test_a_good_model_passes_and_its_report_is_kept(ground: Ground, platform: RunningPlatform) -> None:
    # In a registry of its own: the champion changes here.
    ground = made_ground(platform)
    ref = ground.train(good(), name="good")
    pages: list[str] = []
    done = promote(
        ground.registry, ref=ref, criteria=CRITERIA, request=PromotionRequest(who="test@here", serving=HERE, on_report=pages.append)
    )
    assert done.changed
    assert all(finding.passed for finding in done.findings)
    assert done.entry is not None
    assert done.entry.metrics["macro_f1"] > 0.3
    assert pages[0].startswith("<!doctype html>")
    assert done.report == f"runs:/{ref.run_id}/{REPORT}"
    assert ground.registry.aliases(ground.registry.settings.registered_model)["production"] == ref.version
    look = ground.registry.read_json(ref.run_id, "gate/verdict.json")["look"]
    assert {name: look[name] for name in ("number", "counted", "lost", "unsigned")} == {
        "number": 1,
        "counted": True,
        "lost": 0,
        "unsigned": 0,
    }
    assert done.entry.look is not None
    assert (
        ground.registry.run(ground.champion.run_id).params[look_param(ground.champion.registered_model, 1)]
        == done.entry.look.digest
        == look["proof"]["digest"]
    )
    assert any("the first look at these rows next to the version in production" in note for note in done.notes)
    assert ground.registry.model_version(ref.registered_model, ground.champion.version).tags[LOOKS].startswith("1 sha256:")
    difference = next(finding for finding in done.findings if finding.check == "champion")
    sys.stdout.write(f"| a good model | passed | macro_f1 {difference.value} next to the champion |\n")
