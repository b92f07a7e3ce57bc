"""The page of the API: titled by what is served, grouped, and with the classes as text."""

from __future__ import annotations

from passerelle.serving.endpoint import ClassifyEndpoint
from passerelle.serving.openapi_texts import class_list
from passerelle.serving.runtime import Runtime
from tests.unit.serving.test_endpoint import app, ask, folder, runtime

__all__ = ["app", "folder", "runtime"]


def test_the_page_is_titled_by_model_and_version_and_grouped(app: ClassifyEndpoint, runtime: Runtime) -> None:
    document = ask(app, "GET", "/openapi.json").json()
    assert runtime.model is not None
    assert document["info"]["title"] == f"{runtime.registered_model}, version {runtime.model.version}"
    assert ", ".join(f"`{each}`" for each in runtime.model.labels) in document["info"]["description"]
    groups = {path: next(iter(methods.values()))["tags"] for path, methods in document["paths"].items()}
    assert groups["/classify"] == groups["/classify/batch"] == ["answers"]
    assert {tag for tags in groups.values() for tag in tags} <= {tag["name"] for tag in document["tags"]}
    assert f"<title>{runtime.registered_model}, version 7 · passerelle</title>" in ask(app, "GET", "/docs").text


def test_names_of_classes_are_text_and_a_long_list_is_cut() -> None:
    assert class_list(["<b>x`y</b>", "a\nb"]).endswith("2 classes: `<b>x'y</b>`, `a b`.")
    assert class_list(range(50)).endswith("`39` and 10 more, which `GET /model` lists.")
    assert class_list(None) == ""
