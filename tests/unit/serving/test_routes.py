"""The table of routes is what the endpoint, the pages and the OpenAPI description go by."""

from __future__ import annotations

import pytest
import yaml

from passerelle.model.mlmodel import ModelDescription
from passerelle.model.record import Column
from passerelle.serving.contract import contract_of
from passerelle.serving.doors.description import door_paths
from passerelle.serving.openapi import openapi
from passerelle.serving.routes import ROUTES, UNKNOWN, Access, AnsweredBy, Route, route_of
from tests.unit.test_architecture import ROOT, SOURCE

COLUMNS = (Column("text", "string"),)


DOORS = frozenset({"v1", "v2", "invocations"})


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path + route.end)
def test_a_route_is_found_by_its_path(route: Route) -> None:
    path = f"{route.path}name{route.end}" if route.path.endswith("/") and len(route.path) > 1 else route.path
    assert route_of(path, DOORS) is route
    assert route_of(path) is (route if route.door is None else UNKNOWN)
    assert route_of(path, DOORS - {route.door or ""}) is (route if route.door is None else UNKNOWN)


@pytest.mark.parametrize("path", ["", "/nowhere", "/classify/", "/static_content", "/docs/", "//", "/Classify"])
def test_any_other_path_is_unknown_and_never_a_name_in_the_metrics(path: str) -> None:
    assert route_of(path) is UNKNOWN
    assert UNKNOWN.metric == "unknown"


def test_the_description_names_routes_of_the_table_with_their_methods_and_their_keys() -> None:
    contract = contract_of(COLUMNS, max_text_characters=100, max_records=3, example=None)
    description = ModelDescription("", COLUMNS, {}, {}, None)
    paths = openapi(contract, description)["paths"]
    with_doors = paths | door_paths(DOORS, "test", description)
    assert {route_of(path).door for path in paths} == {None}
    assert {route.path for route in ROUTES if route.door} == {route_of(path, DOORS).path for path in with_doors.keys() - paths.keys()}
    for path, operations in with_doors.items():
        route = route_of(path, DOORS)
        assert {method.upper() for method in operations} <= set(route.methods), path
        for operation in operations.values():
            assert ("401" in operation["responses"]) == (route.access is Access.KEY), path


def test_paths_and_metric_names_are_written_in_the_table_alone() -> None:
    """Other places may ask for a path; what decides who answers and who may ask is the table."""
    for name in ("serving/access.py", "serving/pages/mount.py", "serving/admission.py"):
        text = (SOURCE / name).read_text()
        assert not [route.path for route in ROUTES if len(route.path) > 1 and f'"{route.path}"' in text], name


def test_the_pages_answer_the_routes_that_the_table_gives_them() -> None:
    text = (SOURCE / "serving" / "pages" / "app.py").read_text()
    pages = [route for route in ROUTES if route.answered_by is AnsweredBy.PAGES]
    assert [route.path for route in pages if f'@app.get("{route.path}")' not in text] == []
    assert text.count("@app.get(") == len(pages)
    assert "<html" not in text


def test_the_templates_enter_the_bento() -> None:
    content = yaml.safe_load((ROOT / "bentofile.yaml").read_text())
    included = {path for pattern in content["include"] for path in ROOT.glob(pattern.lstrip("/"))}
    assert {SOURCE / "serving" / "pages" / name for name in ("docs.html", "start.html")} <= included
