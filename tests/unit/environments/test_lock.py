"""The locked requirements: what enters them, and what is said where none can be made. uv's own part is in tests/integration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from passerelle.environments import resolution
from passerelle.environments.conflict import WayOut, unresolved
from passerelle.environments.lock import lock_for
from passerelle.environments.uv import UvFailure, environment_of_uv, shortened
from passerelle.errors import DamagedFileError, OutsideError, UsageError
from tests.unit.hint_commands import problem_of

ADOPT = "passerelle adopt models:/NAME/VERSION"
NATIVE = """flavors:
  sklearn: {serialization_format: cloudpickle, pickled_model: model.pkl}
  python_function: {loader_module: mlflow.sklearn, python_version: 3.11.7}
"""
FUNCTION = "flavors:\n  python_function: {loader_module: mlflow.pyfunc.model, python_version: 3.12.1}\n"
ASKED_FOR = "mlflow==3.17.2\nscikit-learn==1.7.2\n"


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """What uv was given, one a call: its files, and its other arguments; it answers with every name at version 1."""
    calls: list[dict[str, str]] = []

    def fake(arguments: Sequence[str], *, folder: Path, timeout_s: float) -> str:
        calls.append({path.name: path.read_text() for path in folder.iterdir()} | {"": " ".join(arguments)})
        names = [Requirement(line).name for line in calls[-1]["requirements.in"].splitlines()]
        return "-i https://me:pw@pypi.example\n# by uv\n" + "".join(f"{name}==1 \\\n    --hash=sha256:00\n" for name in sorted(set(names)))

    monkeypatch.setattr(resolution, "run_uv", fake)
    return calls


def model(folder: Path, mlmodel: str, requirements: str = ASKED_FOR, pickle: bytes = b"sklearn.pipeline") -> Path:
    (folder / "MLmodel").write_text(mlmodel)
    (folder / "requirements.txt").write_text(requirements)
    (folder / "model.pkl").write_bytes(pickle)
    return folder


def test_what_only_logging_needs_is_left_out(tmp_path: Path, resolved: list[dict[str, str]]) -> None:
    locked = lock_for(model(tmp_path, NATIVE))
    assert locked.python == "3.11"
    assert locked.left_out == ("mlflow==3.17.2: the model is read without it",)
    assert locked.libraries == dict.fromkeys(("cloudpickle", "numpy", "pandas", "scikit-learn"), "1")
    assert "# Left out: mlflow==3.17.2" in locked.text
    assert "://" not in locked.text
    # The second time without MLflow, at the versions of the first time.
    assert resolved[0]["requirements.in"].split() == ASKED_FOR.split()
    assert resolved[1]["requirements.in"].split() == ["scikit-learn==1.7.2", "cloudpickle", "numpy", "pandas"]
    assert resolved[1]["constraints.in"].split() == ["mlflow==1", "scikit-learn==1"]
    assert all("--only-binary :all:" in call[""] and "--generate-hashes" in call[""] for call in resolved)


@pytest.mark.parametrize(
    ("mlmodel", "pickle", "overrides", "named"),
    [
        (FUNCTION, b"", (), {"cloudpickle", "mlflow-skinny", "numpy", "pandas", "scikit-learn"}),
        (FUNCTION, b"", ("mlflow==3.17.2",), {"cloudpickle", "mlflow", "mlflow-skinny", "numpy", "pandas", "scikit-learn"}),
        (NATIVE, b"mlflow.pyfunc", (), {"cloudpickle", "mlflow", "numpy", "pandas", "scikit-learn"}),
    ],
)
@pytest.mark.usefixtures("resolved")
def test_mlflow_stays_where_the_model_needs_it(
    tmp_path: Path, mlmodel: str, pickle: bytes, overrides: tuple[str, ...], named: set[str]
) -> None:
    locked = lock_for(model(tmp_path, mlmodel, pickle=pickle), overrides=overrides)
    assert set(locked.libraries) == named


def test_options_decide_about_python_and_versions(tmp_path: Path, resolved: list[dict[str, str]]) -> None:
    locked = lock_for(model(tmp_path, NATIVE), python="3.12.4", overrides=["numpy>=2,<2.3"])
    assert locked.python == "3.12"
    assert "--python-version 3.12" in resolved[0][""]
    assert resolved[0]["overrides.in"] == "numpy<2.3,>=2\n"


@pytest.mark.parametrize(
    ("change", "message", "hint"),
    [
        ({"overrides": ["numpy=1"]}, "'numpy=1' is no requirement", "--override 'PACKAGE==VERSION'"),
        ({"overrides": ["numpy @ https://x.example/n.whl"]}, "names an address", "--override 'numpy==VERSION'"),
        ({"python": "3.7"}, "asks for Python 3.7; a model is run on Python 3.9 or newer", "--python 3.11"),
        ({"python": "three"}, "no version of Python", "--python 3.11"),
    ],
)
def test_options_that_mean_nothing_are_refused(tmp_path: Path, change: dict[str, str], message: str, hint: str) -> None:
    with pytest.raises(UsageError, match=message) as refused:
        lock_for(model(tmp_path, NATIVE), **change)  # type: ignore[arg-type]
    assert str(refused.value.hint).endswith(hint)


def test_a_model_that_names_no_python_and_one_without_mlmodel(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="which Python"):
        lock_for(model(tmp_path, "flavors: {sklearn: {pickled_model: model.pkl}}"))
    with pytest.raises(DamagedFileError):
        lock_for(model(tmp_path, "flavors: [1", requirements=""))


CONFLICT = """warning: something
error: No solution found when resolving dependencies
  cause: Because scikit-learn==1.7.2 depends on numpy>=1.22.0 and you require scikit-learn==1.7.2, we can conclude \
that you require numpy>=1.22.0.
         And because you require numpy==1.20.0, we can conclude that your requirements are unsatisfiable.
"""
UNKNOWN = """error: No solution found when resolving dependencies
  cause: Because our-tools was not found in the package registry and you require our-tools, we can \
conclude that your requirements are unsatisfiable.
"""
NO_WHEEL = """error: No solution found when resolving dependencies
  cause: Because numpy==1.20.0 has no usable wheels and you require numpy==1.20.0, we can conclude that your requirements are unsatisfiable.

hint: Wheels are required for `numpy` because building from source is disabled for all packages (i.e., with `--no-build`)
"""  # fmt: skip


OVERRIDES = (Requirement("numpy==1.26.0"), Requirement("scipy==1.11.4"))


@pytest.mark.parametrize(
    ("output", "line", "way_out", "hint"),
    [
        (CONFLICT, "numpy==1.20.0", WayOut((Requirement("numpy>=1.22.0"),)), f"{ADOPT} --override 'numpy>=1.22.0'"),
        (CONFLICT, "numpy==1.20.0", WayOut(), f"{ADOPT} --override 'numpy==VERSION'"),
        (
            UNKNOWN,
            "our-tools",
            WayOut(),
            f"UV_INDEX=https://ADDRESS/simple {ADOPT}\n{ADOPT} --override 'our-tools ; python_version < \"3\"'",
        ),
        (
            NO_WHEEL,
            "numpy==1.20.0",
            WayOut(OVERRIDES, "3.9"),
            f"{ADOPT} --override 'numpy==1.26.0' --override 'scipy==1.11.4'\n{ADOPT} --python 3.9",
        ),
        (NO_WHEEL, "numpy==1.20.0", WayOut(), f"pip wheel --no-deps --wheel-dir wheels 'numpy==1.20.0'; UV_FIND_LINKS=wheels {ADOPT}"),
    ],
)
def test_a_conflict_names_the_line_in_the_way_and_the_way_out(output: str, line: str, way_out: WayOut, hint: str) -> None:
    packages = [Requirement("scikit-learn==1.7.2"), Requirement("numpy==1.20.0"), Requirement("our-tools")]
    refused = unresolved(UvFailure(shortened(output)), packages, "3.11", way_out)
    assert isinstance(refused, UsageError)
    assert f"the line '{line}' stands in the way\n    Because " in refused.message
    assert "warning" not in refused.message
    assert refused.hint == hint
    assert problem_of(hint) in {None, "passerelle has no command adopt"}


def test_an_index_that_does_not_answer_is_no_fault_of_the_model() -> None:
    output = "error: Failed to fetch: http://me:hunter2@pypi.example/simple/foo/\n  cause: error sending request\n" + "  cause: x\n" * 50
    refused = unresolved(UvFailure(shortened(output)), [], "3.11", WayOut())
    assert isinstance(refused, OutsideError)
    assert "hunter2" not in refused.message
    assert len(refused.message.splitlines()) == 7


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda output: monkeypatch.setattr(resolution, "run_uv", lambda *_, **__: UvFailure(shortened(output)))


def test_a_lock_that_cannot_be_made_says_why(tmp_path: Path, failing: Callable[[str], None]) -> None:
    failing(CONFLICT)
    with pytest.raises(UsageError, match="the line 'scikit-learn==1\\.7\\.2' stands in the way"):
        lock_for(model(tmp_path, NATIVE))


def test_uv_gets_no_secret_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "PASSERELLE_SIGNING_KEY_PASSWORD", "UV_TARGET", "PYTHONPATH", "UV_INDEX"):
        monkeypatch.setenv(name, "x")
    given = environment_of_uv()
    assert "UV_INDEX" in given
    assert not given.keys() & {"AWS_SECRET_ACCESS_KEY", "PASSERELLE_SIGNING_KEY_PASSWORD", "UV_TARGET", "PYTHONPATH"}
