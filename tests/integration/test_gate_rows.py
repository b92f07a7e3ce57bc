"""A reference, a behaviour suite and recipes, from training to the verdict on a real registry."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from passerelle.criteria import Criteria
from passerelle.errors import IntegrityError, RefusedError, UsageError
from passerelle.gate.finding import Finding
from passerelle.model.manifest import digest_of_file
from passerelle.names import ModelVersionRef
from passerelle.platform.state import RunningPlatform
from passerelle.stages.project_inputs import reference_of
from passerelle.stages.promote import PromotionRequest, promote
from passerelle.stages.register import register
from passerelle.training.candidate import Candidate
from passerelle.training.plan import TrainingPlan, plan_of, prepare
from passerelle.training.train import train
from tests.integration.test_gate import LOOSE, Ground, good, halves, made_ground
from tests.platform_fixtures import HERE
from training.params import PARAMS

pytestmark = pytest.mark.integration
TOML = '[data]\nfile = "data.csv"\ntext_column = "text"\nlabel_column = "label"\n'


@pytest.fixture(scope="module")
def ground(platform: RunningPlatform) -> Iterator[Ground]:
    """Return a registry whose champion learned from all rows, the held-out ones too."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in platform.environment.items():
            patch.setenv(name, value)
        made = made_ground(platform)
        everything = np.sort(np.concatenate([made.parts.train, made.parts.held_out]))
        champion = made.train(good(), parts=replace(made.parts, train=everything, folds=halves(len(everything))), name="all")
        request = PromotionRequest(who="test@here", serving=HERE, force=True, reason="to be compared with")
        promote(made.registry, ref=champion, criteria=LOOSE, request=request)
        yield replace(made, champion=champion)


@pytest.fixture(scope="module")
def challenger(ground: Ground) -> ModelVersionRef:
    return ground.train(good(), name="challenger")


@pytest.fixture
def project(ground: Ground, tmp_path: Path) -> Path:
    """Return a project whose data file is what the versions were trained on."""
    ground.data.records.assign(label=ground.data.labels).to_csv(tmp_path / "data.csv", index=False)
    (tmp_path / "passerelle.toml").write_text(TOML, encoding="utf-8")
    return tmp_path


def judged(ground: Ground, ref: ModelVersionRef, project: Path, held_out: Any, champion: Any = None) -> dict[str, Finding]:
    """Return what the gate finds, refused or not; nothing is promoted."""
    criteria = Criteria.model_validate(
        {"held_out": held_out, "champion": {"must_be_better": False, "not_worse_by": 1.0, **(champion or {})}}
    )
    request = PromotionRequest(who="test@here", serving=HERE, project=project, force=True, reason="to see what is found")
    found = promote(ground.registry, ref=ref, criteria=criteria, request=request, dry_run=True)
    return {finding.check: finding for finding in found.findings}


def test_recipes_are_compared_where_the_champion_learned_all_held_out_rows(
    ground: Ground, challenger: ModelVersionRef, project: Path
) -> None:
    found = judged(ground, challenger, project, {})
    assert "champion" not in found
    assert found["recipes"].result == "passed"
    assert re.fullmatch(r"[+-]0\.\d{3} \[[+-]0\.\d{3}, [+-]0\.\d{3}\]", found["recipes"].value)
    sys.stdout.write(f"| recipes | {found['recipes'].value} |\n")
    (project / "data.csv").write_text("text,label\na b,x\nc d,y\n")
    criteria, request = Criteria(), PromotionRequest(who="test@here", serving=HERE, project=project)
    with pytest.raises(RefusedError, match=r"learned all \d+ held-out rows, and the recipes are not compared: data.csv is not what"):
        promote(ground.registry, ref=challenger, criteria=criteria, request=request, dry_run=True)


def pinned(ground: Ground, project: Path) -> dict[str, Any]:
    """Write a reference of rows that the data holds too, and return the criteria that pin it."""
    rows = ground.data.records.assign(label=ground.data.labels).iloc[ground.parts.held_out]
    rows.assign(text=rows["text"].str.upper() + " !").to_csv(project / "reference.csv", index=False)
    return {"reference": {"file": "reference.csv", "digest": digest_of_file(project / "reference.csv")}}


def test_training_leaves_near_duplicates_of_the_reference_out_and_the_gate_judges_by_it(ground: Ground, project: Path) -> None:
    rule = pinned(ground, project)
    reference = reference_of(Criteria.model_validate({"held_out": rule}), project)
    plan = plan_of(prepare(ground.data, params=PARAMS, reference=reference), params=PARAMS, seed=0)
    assert plan.left_out is not None
    assert plan.left_out.left_out >= len(ground.parts.held_out)
    assert len(plan.data.records) == len(ground.data.records) - plan.left_out.left_out
    ref = version_of(ground, plan)
    found = judged(ground, ref, project, {**rule, "rows": 30}, {"not_worse_by": 1.0})
    assert {found[name].result for name in ("reference", "leakage", "recipes", "contradictions")} == {"passed"}


def version_of(ground: Ground, plan: TrainingPlan) -> ModelVersionRef:
    candidates, server = [Candidate("unseen", "planted", good())], ground.registry.settings.tracking_uri
    trained = train(plan.data, tracking_uri=server, experiment=ground.experiment, candidates=candidates, plan=plan)
    ref = register(ground.registry, run_id=trained.candidates[0].run_id, criteria=LOOSE).ref
    assert ref is not None
    return ref


def test_a_version_that_learned_from_the_reference_is_refused(ground: Ground, challenger: ModelVersionRef, project: Path) -> None:
    rule = pinned(ground, project)
    assert judged(ground, challenger, project, rule)["reference"].passed, "its data is there, and what it learned from is not near"
    (project / "data.csv").unlink()
    unseen = judged(ground, challenger, project, rule)["reference"]
    assert "the training did not know the reference, and its data is not here" in unseen.message
    (project / "reference.csv").write_text("text,label\n" + "".join(f"{text!r},{label}\n" for text, label in [("a", "b")] * 40))
    with pytest.raises(IntegrityError, match="is not the file that the criteria pin"):
        judged(ground, challenger, project, rule)


def test_the_behaviour_suite_is_asked_and_its_failing_case_named(ground: Ground, challenger: ModelVersionRef, project: Path) -> None:
    text, label = "Toujours aucune nouvelle de mon dossier, déposé il y a quatre mois", "Pb de suivi /Délai"
    suite = f'labels:\n- {{text: "{text}", label: {label}}}\n- {{text: "{text} encore", label: Remerciements}}\n'
    (project / "suite.yaml").write_text(suite, encoding="utf-8")
    found = judged(ground, challenger, project, {"behaviour": {"file": "suite.yaml", "minimum": 0.5}})["behaviour"]
    assert (found.value, found.limit) == ("1 / 2", "≥ 50%")
    assert "labels 2" in judged(ground, challenger, project, {"behaviour": {"file": "suite.yaml"}})["behaviour"].message
    with pytest.raises(UsageError, match=r"the behaviour suite none.yaml cannot be read"):
        judged(ground, challenger, project, {"behaviour": {"file": "none.yaml"}})
