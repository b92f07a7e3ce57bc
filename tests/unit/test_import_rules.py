"""What may import what: the table of rooms, no circles, and the libraries that only some rooms may know."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.syntax_trees import tree_of

SOURCE = Path(__file__).resolve().parents[2] / "src" / "passerelle"
GROUND = {
    "passerelle",
    "errors",
    "names",
    "secret_variables",
    "settings",
    "follow_settings",
    "cluster_settings",
    "log_settings",
    "retention_settings",
    "build_settings",
    "client_settings",
    "known_settings",
    "criteria",
    "criteria_file",
    "api_keys",
    "count_of",
    "regular_file",
    "seekable_reader",
    "port_holder",
    "project_file",
    "proxy_variables",
    "yaml_text",
}
#: Each room, and the rooms that it may import from, at the top of a file or late.
MAY_IMPORT: Mapping[str, set[str]] = {
    "passerelle": set(),
    "errors": set(),
    "names": {"errors"},
    "count_of": set(),
    "regular_file": set(),
    "seekable_reader": set(),
    "port_holder": set(),
    "proxy_variables": set(),
    "secret_variables": {"errors", "regular_file"},
    "settings": {"errors", "names", "secret_variables"},
    "cluster_settings": {"errors", "names", "settings"},
    "follow_settings": {"errors", "names", "settings"},
    "log_settings": {"errors", "names", "settings", "regular_file"},
    "retention_settings": {"errors", "names", "settings"},
    "build_settings": {"errors", "names", "settings"},
    "client_settings": {"errors", "names", "settings"},
    "known_settings": {
        "errors",
        "names",
        "settings",
        "cluster_settings",
        "follow_settings",
        "log_settings",
        "retention_settings",
        "build_settings",
        "client_settings",
        "secret_variables",
    },
    "criteria": {"errors", "names"},
    "criteria_file": {"errors", "names", "criteria", "yaml_text"},
    "yaml_text": {"errors", "regular_file"},
    "api_keys": {"errors", "names", "settings", "regular_file"},
    "project_file": {"errors", "names", "settings", "known_settings", "regular_file"},
    "scorer": {"errors"},
    "model": {*GROUND, "scorer"},
    "environments": {*GROUND, "scorer", "model"},
    "monitoring": {*GROUND, "scorer", "model"},
    "serving": {*GROUND, "scorer", "model", "monitoring"},
    "registry": {*GROUND, "scorer", "model", "monitoring"},
    "gate": {*GROUND, "scorer", "model", "registry"},
    "training": {*GROUND, "scorer", "model", "gate"},
    "bentos": {*GROUND, "scorer", "model"},
    "platform": GROUND,
    "rollout": {*GROUND, "scorer", "model", "bentos", "registry", "platform"},
    "batch": {*GROUND, "scorer", "model"},
    "project": {*GROUND, "scorer", "model", "bentos", "training"},
    "doctor": {*GROUND, "scorer", "model", "registry", "bentos", "platform", "rollout"},
}
ROOMS_BELOW_THE_STAGES = set(MAY_IMPORT)
#: Each library, and where it may be imported.
MAY_KNOW: Mapping[str, tuple[str, ...]] = {
    "sklearn": ("scorer.compile", "model.flavors", "model.host", "gate", "training", "project"),
    "skops": ("model.flavors", "model.host", "gate", "training"),
    "mlflow": ("registry", "training", "platform", "model.host"),
    "boto3": ("registry", "training", "platform"),
    "bentoml": ("bentos", "serving"),
    "fastapi": ("serving",),
    "pyarrow": ("stages", "monitoring.prediction_log", "monitoring.drift", "gate", "batch", "training.parquet_table"),
    "click": ("cli",),
}
SAY_WHY_LATE = {"gate", "registry", "bentos", "training", "platform", "rollout", "monitoring"}


@cache
def modules() -> Mapping[str, ast.Module]:
    """Return the parsed files by their names, without the package's own."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = tree_of(path)
    return found


@cache
def imported(module: str) -> Sequence[str]:
    """Return the full name of all that a module imports, at the top, late or for its types alone."""
    names: list[str] = []
    for node in ast.walk(modules()[module]):
        if isinstance(node, ast.Import):
            names += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            names += (f"{node.module}.{alias.name}" for alias in node.names)
    return names


@cache
def imports() -> Mapping[str, set[str]]:
    """Return our modules that each of our modules imports."""
    graph: dict[str, set[str]] = {}
    for module in modules():
        ours = (name.partition(".")[2] for name in imported(module) if name.partition(".")[0] == "passerelle")
        graph[module] = {name if name in modules() else name.rpartition(".")[0] for name in ours}
    return graph


def room(module: str) -> str:
    return module.partition(".")[0] or "passerelle"


@cache
def imports_between_rooms() -> Mapping[str, set[str]]:
    graph: dict[str, set[str]] = {}
    for module, targets in imports().items():
        graph.setdefault(room(module), set()).update({room(target) for target in targets} - {room(module)})
    return graph


def circle(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the names of a circle of imports, the first of them again at the end; none where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


@pytest.mark.parametrize("name", MAY_IMPORT)
def test_a_room_imports_from_the_rooms_below_it(name: str) -> None:
    above = {module: sorted(t for t in targets if room(t) not in {name, *MAY_IMPORT[name]}) for module, targets in imports().items()}
    assert {module: targets for module, targets in above.items() if targets and room(module) == name} == {}


def test_every_room_has_a_row() -> None:
    assert {room(module) for module in modules()} <= ROOMS_BELOW_THE_STAGES | {"stages", "cli", "__main__"}


def test_nothing_imports_the_command_line() -> None:
    assert {name for name, targets in imports_between_rooms().items() if "cli" in targets} == {"__main__"}


def test_only_the_command_line_imports_the_stages() -> None:
    assert {name for name, targets in imports_between_rooms().items() if "stages" in targets} == {"cli"}


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circle(imports()) == []


def test_no_rooms_import_each_other_in_a_circle() -> None:
    assert circle(imports_between_rooms()) == []


@pytest.mark.parametrize("library", MAY_KNOW)
def test_a_library_is_known_only_where_it_may_be(library: str) -> None:
    knows = {module for module in modules() if any(name.partition(".")[0] == library for name in imported(module))}
    assert {module for module in knows if not any(f"{module}.".startswith(f"{place}.") for place in MAY_KNOW[library])} == set()


def test_the_scorer_takes_arrays_and_knows_no_table() -> None:
    assert {
        module
        for module in modules()
        if room(module) == "scorer"
        and not module.startswith("scorer.compile")
        and any(n.split(".")[0] == "pandas" for n in imported(module))
    } == set()


def test_a_bento_holds_all_that_its_service_imports() -> None:
    patterns = [line.strip(' -"') for line in (SOURCE.parents[1] / "bentofile.yaml").read_text().splitlines() if "/src/passerelle/" in line]
    inside = {
        module
        for module in modules()
        if any(pattern == f"/src/passerelle/{module.replace('.', '/')}.py" for pattern in patterns)
        or (f"/src/passerelle/{room(module)}/**/*.py" in patterns and not module.startswith("monitoring.drift"))
    }
    needed = set[str]().union(*(imports()[module] for module in inside)) - inside
    assert {module for module in needed if room(module) in GROUND} <= {"passerelle", ""}


def test_an_import_inside_of_a_function_says_why() -> None:
    late = [
        (str(path.relative_to(SOURCE)), line.strip())
        for path in sorted(SOURCE.rglob("*.py"))
        for line in path.read_text().splitlines()
        if "PLC0415" in line and path.relative_to(SOURCE).parts[0] in SAY_WHY_LATE
    ]
    assert [(path, line) for path, line in late if "PLC0415 - " not in line] == []


def test_a_circle_is_found_and_named() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) in (["a", "b", "c", "a"], ["b", "c", "a", "b"], ["c", "a", "b", "c"])
    assert circle({"a": {"b"}, "b": {"c"}, "c": set()}) == []
