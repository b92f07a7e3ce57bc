"""The layers stay apart, and the stages stand in the same order everywhere."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import passerelle
from passerelle.cli.main import OPERATIONS, STAGES
from tests.syntax_trees import nodes_of, tree_of

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "passerelle"
MODULES = sorted(SOURCE.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Yield the full name of all that the file imports, at the top or late."""
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def package(path: Path) -> str:
    parts = path.relative_to(SOURCE).parts
    return parts[0] if len(parts) > 1 else path.stem


FORBIDDEN = {
    "serving": ("passerelle.registry", "passerelle.bentos", "passerelle.rollout", "passerelle.platform", "training", "mlflow"),
    "monitoring": ("passerelle.registry", "passerelle.bentos", "passerelle.rollout", "passerelle.platform", "training", "mlflow"),
    "registry": ("passerelle.bentos", "passerelle.rollout", "training", "bentoml"),
    "platform": ("passerelle.registry", "passerelle.bentos", "passerelle.rollout", "training"),
    "bentos": ("passerelle.registry", "passerelle.gate", "passerelle.stages", "passerelle.rollout"),
    "rollout": ("training",),
}


def test_layers_stay_apart() -> None:
    everybody = ("passerelle.cli",)
    offenders = [
        f"{path.relative_to(SOURCE)} imports {name}"
        for path in MODULES
        for name in imports(path)
        for forbidden in (*FORBIDDEN.get(package(path), ()), *(() if package(path) in {"cli", "__main__"} else everybody))
        if name == forbidden or name.startswith(forbidden + ".")
    ]
    assert offenders == []


def test_only_the_registry_client_calls_mlflows_client() -> None:
    callers = {str(path.relative_to(SOURCE)) for path in MODULES if any(name.endswith("MlflowClient") for name in imports(path))}
    assert callers == {"registry/client.py"}


def test_only_bentos_calls_the_store_and_the_build() -> None:
    calls = re.compile(r"bentoml\.(models|bentos|build|get|list|delete|container|import_bento|export_bento)\b")
    callers = {package(path) for path in MODULES if calls.search(path.read_text())}
    assert callers <= {"bentos"}


def test_nothing_happens_at_import_of_the_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    __import__("passerelle.settings")
    assert list(tmp_path.iterdir()) == []


def table_of_stages(text: str) -> list[str]:
    return re.findall(r"^\| `passerelle (\w+)` \|", text, re.MULTILINE)


def test_the_order_of_the_stages_is_the_same_in_all_four_places() -> None:
    commands = [str(command.name) for command in STAGES]
    docstring = re.findall(r"^(\w+) +(?:training|passerelle)\.", passerelle.__doc__ or "", re.MULTILINE)
    readme = table_of_stages((ROOT / "README.md").read_text())
    pages = [match[1] for path in sorted((ROOT / "docs").glob("*.md")) if (match := re.match(r"\d\d-(\w+)$", path.stem))]
    assert commands == docstring
    assert commands == readme
    assert ["overview", *commands] == pages


def test_each_stage_of_the_docstring_is_a_module() -> None:
    for module in re.findall(r"^\w+ +((?:training|passerelle)\.[\w.]+)", passerelle.__doc__ or "", re.MULTILINE):
        base = ROOT if module.startswith("training") else ROOT / "src"
        place = base.joinpath(*module.split("."))
        assert place.with_suffix(".py").is_file() or (place / "__init__.py").is_file(), module


LONGEST_FILE, LONGEST_FUNCTION = 300, 40
CLI = sorted((SOURCE / "cli").glob("*.py"))
STAGE_MODULES = [path for path in MODULES if package(path) == "stages"]
LONGEST_COMMAND = 14


def commands_of(path: Path) -> Iterator[ast.FunctionDef]:
    """Yield the functions that click makes commands of."""
    for node in nodes_of(path):
        if isinstance(node, ast.FunctionDef) and any("command(" in ast.unparse(decorator) for decorator in node.decorator_list):
            yield node


def test_a_commands_body_is_short_and_calls_a_stage() -> None:
    found = {command.name: command for path in CLI for command in commands_of(path)}
    assert {name.rstrip("_") for name in found} >= {str(command.name) for command in STAGES}
    for name, command in found.items():
        body = command.body[1:]  # without the docstring
        assert (body[-1].end_lineno or 0) - body[0].lineno < LONGEST_COMMAND, name
        late = {node.module for node in ast.walk(command) if isinstance(node, ast.ImportFrom)}
        assert any(module and module.startswith("passerelle.stages") for module in late), name


def test_the_command_line_works_through_the_stages_alone() -> None:
    layers = tuple(f"passerelle.{layer}" for layer in ("registry", "bentos", "rollout", "gate", "training", "serving", "monitoring"))
    # These look at files, servers and stores before a stage, which imports MLflow, is imported at all.
    for path in CLI:
        if path.name in {"file_checks.py", "prerequisites.py"}:
            continue
        imported = {name for name in run_time_imports(path) if name.startswith(layers)}
        # Kinds of results, for `isinstance`.
        assert all(name.rpartition(".")[2][0].isupper() for name in imported), (path.name, imported)


def run_time_imports(path: Path) -> Iterator[str]:
    """Yield what the file imports, but for what only the type checker reads."""
    tree = tree_of(path)
    typing_only = {id(node) for block in ast.walk(tree) if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
                   for node in ast.walk(block)}  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and id(node) not in typing_only:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", STAGE_MODULES, ids=lambda path: path.name)
def test_a_stage_reads_no_environment_prints_nothing_and_knows_no_command_line(path: Path) -> None:
    tree = tree_of(path)
    used = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute | ast.Name)}
    assert used.isdisjoint({"os.environ", "os.getenv", "os.putenv", "print", "sys.exit", "sys.stdout", "sys.stderr", "SystemExit"})
    assert not [name for name in imports(path) if name.partition(".")[0] in {"click", "rich"}]
    options = {node.args.kwarg.arg for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.args.kwarg}
    assert options <= {"options"}, "parameters are typed, not **options"


@pytest.mark.parametrize("command", [*STAGES, *OPERATIONS], ids=lambda command: str(command.name))
def test_each_command_can_be_called_from_python(command: click.Command) -> None:
    name = {"import": "import_model"}.get(str(command.name), command.name)
    module = importlib.import_module(f"passerelle.stages.{name}")
    groups = {"keys": ("make", "listed", "revoke"), "feedback": ("export", "import_", "sample")}
    functions = [getattr(module, function) for function in groups.get(str(name), ("run",))]
    for function in functions:
        signature = inspect.signature(function)
        if name != "new":  # which needs no server
            assert next(iter(signature.parameters.values())).annotation == "Context"
        assert inspect.getdoc(function)
        if "project" in {parameter.name for parameter in command.params}:
            assert "project" in signature.parameters


def too_long(path: Path) -> Iterator[str]:
    """Yield what of a file is longer than it may be."""
    text, name = path.read_text(), path.relative_to(ROOT)
    if (lines := text.count("\n")) > LONGEST_FILE:
        yield f"{name}: {lines} lines"
    for node in nodes_of(path):
        if (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and (lines := (node.end_lineno or 0) - node.lineno + 1) > LONGEST_FUNCTION
        ):
            yield f"{name}: {node.name} has {lines} lines"


def test_files_and_functions_stay_small() -> None:
    others = [path for folder in ("tests", "training", "loadtests") for path in sorted((ROOT / folder).rglob("*.py"))]
    assert [each for path in [*MODULES, *others] for each in too_long(path)] == []


def test_the_service_itself_stays_under_80_lines() -> None:
    assert len((ROOT / "service.py").read_text(encoding="utf-8").splitlines()) < 80


def folders(root: Path, pattern: str) -> set[str]:
    """Return the folders, by their path below the root, that hold such a file themselves."""
    return {path.parent.relative_to(root).as_posix() for path in root.rglob(pattern) if path.name != "__init__.py"} - {"."}


def test_unit_tests_mirror_the_package() -> None:
    packages, tests = folders(SOURCE, "*.py"), folders(ROOT / "tests" / "unit", "test_*.py")
    assert sorted(tests - packages) == [], "unit tests of a package that does not exist"
    assert sorted(packages - tests) == [], "packages without a unit test"


def test_what_make_mutants_changes_and_runs_is_there() -> None:
    modules = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mutants"]["modules"]
    wanted = [(SOURCE, name) for each in modules.values() for name in each["files"]]
    wanted += [(ROOT / "tests" / "unit", name) for each in modules.values() for name in each["tests"]]
    assert [name for root, name in wanted if not list(root.glob(f"**/{name}"))] == []
