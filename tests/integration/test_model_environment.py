"""The environment of an adopted model, made by the real uv: the model answers in it, and what cannot be resolved is refused by its line."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from passerelle.environments.environment import ensure
from passerelle.environments.lock import lock_for
from passerelle.errors import NotFoundError, UsageError
from passerelle.model.loaded import load_model
from passerelle.settings import LoadingSettings
from tests.model_environments import settings_of_tests, write_adopted

pytestmark = pytest.mark.integration

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
TABLE = pd.DataFrame({"age": [20.0, 30.0, 60.0, 70.0], "income": [1.0, 2.0, 8.0, 9.0]})


def test_a_model_answers_in_an_environment_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    estimator = LogisticRegression().fit(TABLE, [0, 0, 1, 1])
    adopted = write_adopted(tmp_path, estimator, TABLE, serialization_format="cloudpickle")
    assert adopted.locked == lock_for(tmp_path / "mlflow_model"), "the same lock from the same inputs"
    assert "://" not in adopted.locked.text
    # What only logging needs is not there; what this process runs in has it.
    listed = "import importlib.util as u; print([name for name in ('mlflow', 'sqlalchemy', 'passerelle', 'sklearn') if u.find_spec(name)])"
    found = subprocess.run([adopted.python, "-I", "-c", listed], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "['sklearn']"
    settings = settings_of_tests()
    monkeypatch.setenv("PASSERELLE_ADOPTED_PICKLES", "any")
    monkeypatch.setenv("PASSERELLE_ENVIRONMENTS_DIR", str(settings.environments_dir))
    loaded = load_model(tmp_path)
    try:
        assert loaded.classes == (0, 1)
        assert loaded.golden_difference < 1e-9
        (row,) = loaded.rows([{"age": 65.0, "income": 8.5}])
        assert loaded.classes[row[0]] == 1
    finally:
        loaded.close()
    monkeypatch.setenv("PASSERELLE_ENVIRONMENTS_DIR", str(tmp_path / "elsewhere"))
    with pytest.raises(NotFoundError, match="is not there") as refused:
        load_model(tmp_path)
    assert refused.value.hint == "passerelle import"


@pytest.mark.parametrize(
    ("lines", "message", "hint"),
    [
        (
            "scipy==1.14.0\nnumpy==2.5.5\n",
            "the line 'numpy==2.5.5' stands in the way",
            "--override 'numpy<2.3,>=1.23.5'",
        ),
        ("joblib==1.5.2\npasserelle-has-no-such-package==1.0\n", "the line 'passerelle-has-no-such-package==1.0'", "UV_INDEX="),
        (
            "numpy==1.23.2\n",
            "the line 'numpy==1.23.2' stands in the way\n    Because numpy==1.23.2 has no usable wheels",
            "--override 'numpy==1.26.0'\npasserelle adopt models:/NAME/VERSION --python 3.11",
        ),
    ],
)
def test_what_cannot_be_resolved_is_refused_by_its_line(tmp_path: Path, lines: str, message: str, hint: str) -> None:
    (tmp_path / "MLmodel").write_text("flavors: {python_function: {loader_module: tools, python_version: 3.12.1}}")
    (tmp_path / "requirements.txt").write_text(lines)
    with pytest.raises(UsageError) as refused:
        lock_for(tmp_path)
    assert message in refused.value.message
    assert hint in str(refused.value.hint)


def test_two_at_once_make_one_environment(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text("flavors: {python_function: {loader_module: tools}}")
    (tmp_path / "requirements.txt").write_text("six==1.17.0\n")
    lock = tmp_path / "environment.txt"
    lock.write_text("six==1.17.0 --hash=sha256:4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274\n")
    settings = LoadingSettings.read(environments_dir=tmp_path / "environments")
    lines: list[str] = []
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: ensure(lock, HERE, settings, lines.append), range(2))
    assert first == second
    assert len(lines) == 1
    printed = subprocess.run(
        [first, "-I", "-c", "import six, sys; print(sys.prefix)"], capture_output=True, text=True, check=True, timeout=60
    )
    assert printed.stdout.strip() == str(first.parents[1])
    assert json.dumps([path.name for path in settings.environments_dir.iterdir() if path.is_dir()]) == json.dumps([first.parents[1].name])
