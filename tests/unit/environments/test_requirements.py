"""What a model's own files ask for: read as MLflow writes it, and refused by name where only the operator can decide."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.requirements import Requirement

from passerelle.environments.requirements import read_requirements
from passerelle.errors import UsageError
from tests.unit.hint_commands import problem_of


def model(folder: Path, requirements: str | bytes | None = "", **files: str) -> Path:
    if requirements is not None:
        (folder / "requirements.txt").write_bytes(requirements if isinstance(requirements, bytes) else requirements.encode())
    for name, content in files.items():
        (folder / {"python_env": "python_env.yaml", "conda": "conda.yaml", "constraints": "constraints.txt"}[name]).write_text(content)
    return folder


def test_what_mlflow_writes_is_read(tmp_path: Path) -> None:
    lines = (
        "# logged\nmlflow==3.17.2\nscikit-learn==1.7.2  # pinned\nuvicorn[standard]>=0.30 ; python_version > '3.9'\n-c constraints.txt\n"
    )
    python_env = "python: 3.10.13\nbuild_dependencies:\n- pip==24\ndependencies:\n- -r requirements.txt\n"
    found = read_requirements(model(tmp_path, lines, python_env=python_env, constraints="numpy<2.4\n"))
    assert [str(each) for each in found.packages] == [
        "mlflow==3.17.2", "scikit-learn==1.7.2", 'uvicorn[standard]>=0.30; python_version > "3.9"'
    ]  # fmt: skip
    assert [str(each) for each in found.constraints] == ["numpy<2.4"]
    assert found.python == "3.10.13"
    assert found.left_out == ()


def test_a_model_of_before_has_a_conda_environment_alone(tmp_path: Path) -> None:
    conda = """
name: mlflow-env
channels: [conda-forge]
dependencies:
- python=3.9.18
- pip<=22
- conda-forge::pytorch=1.13.1=py39_0
- scikit-learn
- pip: [mlflow==1.30.0, 'cloudpickle==2.2.1']
"""
    found = read_requirements(model(tmp_path, None, conda=conda))
    assert [str(each) for each in found.packages] == ["torch==1.13.1", "scikit-learn", "mlflow==1.30.0", "cloudpickle==2.2.1"]
    assert found.python == "3.9.18"


def test_lines_that_change_nothing_are_taken(tmp_path: Path) -> None:
    public = ".".join(("pypi", "org"))  # in parts: no file of the repository holds an index's address
    lines = f"--index-url https://{public}/simple\n--pre\n--prefer-binary\nnumpy==2.3.4 \\\n    --hash=sha256:00 \\\n    --hash=sha256:11\n"
    found = read_requirements(model(tmp_path, lines))
    assert ([str(each) for each in found.packages], found.prereleases) == (["numpy==2.3.4"], True)


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("-r more.txt", "'-r more.txt'", "--override 'PACKAGE==VERSION'"),
        ("-e .", "'-e .'", "--override 'PACKAGE==VERSION'"),
        ("-e git+https://git.example/team/tools.git#egg=our-tools", "names an address", "--override 'our-tools==VERSION'"),
        ("git+https://me:hunter2@git.example/team/tools.git@main", "'git+https://git.example/", "--override 'tools==VERSION'"),
        ("our-tools @ git+ssh://git@git.example/tools.git", "names an address", "--override 'our-tools==VERSION'"),
        ("our-tools @ https://files.example/our_tools-1.0-py3-none-any.whl", "names an address", "--override 'our-tools==VERSION'"),
        ("file:///home/marie/tools", "names an address", "--override 'tools==VERSION'"),
        ("wheels/our_tools-1.2.0-py3-none-any.whl", "names an address or a folder", "--override 'our_tools==VERSION'"),
        ("./tools", "names an address or a folder", "--override 'tools==VERSION'"),
        ("/etc/passwd", "names an address or a folder", "--override 'passwd==VERSION'"),
        ("--index-url https://me:hunter2@pypi.example/", "names the index or host", "UV_DEFAULT_INDEX=https://pypi.example/"),
        ("--extra-index-url=https://pypi.example/simple", "names the index or host", "UV_INDEX=https://pypi.example/simple;"),
        ("--find-links https://files.example/", "names the index or host", "UV_FIND_LINKS=https://files.example/;"),
        ("--trusted-host pypi.example", "names the index or host", "UV_INSECURE_HOST=pypi.example;"),
        ("--no-binary :all:", "an option of pip", "--override 'PACKAGE==VERSION'"),
        ("numpy=1.2", "is no requirement", "--override 'PACKAGE==VERSION'"),
        ("$(touch /tmp/x)", "is no requirement", "--override 'PACKAGE==VERSION'"),
        ("x" * 990, "is no requirement", "--override"),
    ],
)  # fmt: skip
def test_what_only_the_operator_can_decide_is_refused_by_its_line(tmp_path: Path, line: str, message: str, hint: str) -> None:
    if line.startswith("x"):
        line = f"{line}=="
    with pytest.raises(UsageError) as refused:
        read_requirements(model(tmp_path, f"numpy==2.3.4\n{line}\n"))
    assert message in refused.value.message
    assert "hunter2" not in f"{refused.value.message} {refused.value.hint}"
    assert len(refused.value.message) < 400
    assert hint in (refused.value.hint or "")
    found = problem_of(refused.value.hint or "")
    assert found in {None, "passerelle has no command adopt"}


def test_the_way_out_leads_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "numpy==2.3.4\ngit+https://git.example/team/tools.git\n-e .\n--extra-index-url https://pypi.example/simple/\n"
    monkeypatch.setenv("UV_INDEX", "ours=https://me:hunter2@pypi.example/simple")
    found = read_requirements(model(tmp_path, lines), [Requirement("tools==1.0")])
    assert [str(each) for each in found.packages] == ["numpy==2.3.4"]
    assert found.left_out == ("git+https://git.example/team/tools.git", "-e .")
    with pytest.raises(UsageError, match="'git"):
        read_requirements(tmp_path, [Requirement("other==1.0")])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"numpy==1.0\n" * 30_000, "larger than 256 KiB"),
        (b"a\n" * 3_000, "more than 2000 lines"),
        (b"numpy" + b" " * 2_000 + b"==1\n", "1000 characters"),
        (b"num\xffpy\n", "cannot be read: UnicodeDecodeError"),
    ],
)
def test_a_file_that_is_no_list_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_requirements(model(tmp_path, content))


def test_a_link_and_what_is_no_yaml_are_refused(tmp_path: Path) -> None:
    model(tmp_path, "", python_env="python: [\n")
    with pytest.raises(UsageError, match="is not YAML"):
        read_requirements(tmp_path)
    (tmp_path / "python_env.yaml").unlink()
    (tmp_path / "requirements.txt").unlink()
    (tmp_path / "requirements.txt").symlink_to("/etc/hostname")
    with pytest.raises(UsageError, match="is a link"):
        read_requirements(tmp_path)
