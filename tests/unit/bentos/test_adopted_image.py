"""The image of an adopted model: what is built for it, what its labels say, what its bill of materials lists."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest

from passerelle.bentos.adopted_image import MODEL_PYTHON, add_model_environment, adoption_in, adoption_labels, recipe_of
from passerelle.bentos.image_options import ImageOptions
from passerelle.bentos.sbom import Packages, together
from passerelle.errors import UsageError
from passerelle.model.adoption import Adoption

ADOPTED = Adoption("models:/m-1", "", "lightgbm", "regression", {"inputs": "[]"}, "input_example", "3.11", pickled=True)
DOCKERFILE = (resources.files("passerelle.bentos") / "image" / "Dockerfile").read_text()


def test_a_model_of_our_own_is_built_as_ever() -> None:
    recipe = recipe_of(None, ImageOptions(slim=True))
    assert (recipe.bare, recipe.listed, recipe.bases) == ("service", "listed", ("python:3.11-slim",))
    assert recipe.arguments == {"BASE": "python:3.11-slim", "VARIANT": "slim"}


def test_an_adopted_model_gets_its_own_environment() -> None:
    recipe = recipe_of(ADOPTED, ImageOptions(base="registry.example/python@sha256:1"))
    assert (recipe.bare, recipe.listed) == ("adopted", "listed")
    assert recipe.arguments["MODEL_BASE"] == "registry.example/python@sha256:1"
    assert recipe.arguments["MODEL_PYTHON"] == "3.11 same"
    assert recipe.pythons[1][0] == MODEL_PYTHON


def test_another_python_comes_from_its_own_base() -> None:
    older = replace(ADOPTED, python="3.9")
    recipe = recipe_of(older, ImageOptions())
    assert (recipe.arguments["MODEL_BASE"], recipe.arguments["MODEL_PYTHON"]) == ("python:3.9-slim", "3.9 own")
    assert recipe.bases == ("python:3.11-slim", "python:3.9-slim")
    with pytest.raises(UsageError, match=r"needs Python 3\.9") as refused:
        recipe_of(older, ImageOptions(slim=True))
    assert refused.value.hint == "passerelle containerize"


def test_the_context_holds_the_locked_requirements_and_the_labels_say_what_the_model_is(tmp_path: Path) -> None:
    beside, folder = tmp_path / "models" / "m" / "1-a", tmp_path
    beside.mkdir(parents=True)
    (beside / "adoption.json").write_text(ADOPTED.canonical())
    (beside / "environment.txt").write_text("numpy==2.3.4\n")
    (folder / "tools").mkdir()
    add_model_environment(folder, beside, DOCKERFILE)
    assert adoption_in(folder) == ADOPTED
    labels = adoption_labels(ADOPTED, folder)
    assert {name.removeprefix("passerelle."): value[:14] for name, value in labels.items()} == {
        "flavor": "lightgbm",
        "task": "regression",
        "golden_origin": "input_example",
        "pickled": "true",
        "model_requirements": "sha256:18594d2",
    }
    content = (folder / "Dockerfile").read_text()
    assert content.index("ARG MODEL_BASE") < content.index("FROM ")
    assert DOCKERFILE.partition("FROM service AS listed")[0] in content, "the stages of any other image stay as they are"
    assert content.rstrip().endswith("FROM adopted AS listed\nCOPY sbom.cdx.json /app/")
    assert content.count("AS listed") == 1


def test_the_bill_of_materials_covers_both_environments() -> None:
    def listed(python: str, **packages: str) -> Packages:
        found = [{"name": name, "version": version, "licence": ""} for name, version in packages.items()]
        return {"python": python, "packages": found, "debian": []}  # type: ignore[typeddict-item]

    service = listed("3.11.9", bentoml="1.4.39", numpy="2.4.6")
    assert together([service]) is not service
    assert together([service])["packages"] == service["packages"]
    both = together([service, listed("3.9.18", numpy="1.26.4", lightgbm="4.5.0")])
    assert [f"{each['name']}=={each['version']}" for each in both["packages"]] == [
        "bentoml==1.4.39", "lightgbm==4.5.0", "numpy==1.26.4", "numpy==2.4.6", "python==3.9.18",
    ]  # fmt: skip
    assert len(together([service, listed("3.11.9", numpy="2.4.6")])["packages"]) == 2
