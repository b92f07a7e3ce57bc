"""The whole path from Python: the page's example as it stands, and contexts that reach their own platform."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from passerelle.platform.state import RunningPlatform
from passerelle.stages import deploy, status
from passerelle.stages.context import context_of
from tests.platform_fixtures import COMMENTS, OURS, RegisteredForTests

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]
QUICK = """

_all_candidates_for = candidates_for


def candidates_for(data, **how):
    return tuple(each for each in _all_candidates_for(data, **how) if each.name in {"word_lr", "mixed_lr"})
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project: this one's service, two quick candidates and three classes."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("bentofile.yaml", "service.py"):
        shutil.copy(ROOT / name, folder / name)
    for name in ("requirements", "src/passerelle"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "training", folder / "training", ignore=shutil.ignore_patterns("__pycache__", "data"))
    comments = pd.read_csv(COMMENTS)
    few = comments[comments["label"].isin(["Pb de suivi /Délai", *comments["label"].value_counts().index[:3]])]
    (folder / "training" / "data").mkdir()
    few.to_csv(folder / "training" / "data" / "comments.csv", index=False)
    with (folder / "training" / "candidates.py").open("a") as file:
        file.write(QUICK)
    return folder


@pytest.mark.timeout(400)
def test_the_example_of_the_page_runs_as_it_stands(
    platform: RunningPlatform, plain_environment: None, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PASSERELLE_REGISTERED_MODEL", "PASSERELLE_EXPERIMENT"):
        monkeypatch.setenv(name, f"from-python-{os.getpid()}")
    monkeypatch.setenv("PASSERELLE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "bentoml"))
    monkeypatch.chdir(project)
    before = dict(os.environ)
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs" / "from-python.md").read_text(), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    try:
        for block in blocks:
            exec(compile(block, "docs/from-python.md", "exec"), names)  # noqa: S102 - our own page
    finally:
        if "context" in names:
            deploy.run(names["context"], place=deploy.Place(stop=True))
    assert (names["answer"]["label"], names["answer"]["model_version"]) == ("Pb de suivi /Délai", "1")
    assert names["trained"].created
    assert names["promotion"].entry.reason == "first version"
    assert dict(os.environ) == before


def test_a_context_reaches_its_platform_whatever_the_process_points_at(
    registered: RegisteredForTests, platform: RunningPlatform, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """MLflow keeps its S3 client, and boto3 its session, whatever keys they were made with."""
    for name in list(os.environ):
        if name.startswith(OURS):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-another-platform")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-another-platform")
    name = registered.fresh().settings.registered_model
    right = {**platform.environment, "PASSERELLE_REGISTERED_MODEL": name, "PASSERELLE_STATE_DIR": str(tmp_path)}
    right["PASSERELLE_EXPERIMENT"] = registered.registry.settings.experiment
    wrong = {**right, "AWS_ACCESS_KEY_ID": "of-another-platform"}
    context = context_of(right)
    other = context_of(wrong)
    run_id = registered.run_ids[0]
    for _ in range(2):
        assert context.registry.read_json(run_id, "golden.json")["labels"]
        with pytest.raises(Exception, match="refuses these keys"):
            status.run(other)
    assert status.run(context).holdings.registered_model == name
    context.registry.write_text(run_id, "from-python.txt", "written with the context's keys")
