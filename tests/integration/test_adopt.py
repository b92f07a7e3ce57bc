"""Versions of a real registry that passerelle did not register: adopted, or refused with what to do about it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import mlflow
import pytest

from passerelle.errors import PasserelleError
from passerelle.names import ADOPTION_RUN, ARTIFACT_DIGEST, GOLDEN_ORIGIN, TASK
from passerelle.registry.client import Registry
from passerelle.stages.adopt import Adopted, AdoptionRequest, adopt
from passerelle.stages.adopt_options import AdoptOptions
from tests.logged_models import ROWS, Row, files_for

pytestmark = pytest.mark.integration


def logged(row: Row) -> str:
    """Log the model in a run of its own, and return the run's id."""
    with mlflow.start_run() as run:
        row.log()
    return str(run.info.run_id)


def version_of(adopting: Registry, row: Row) -> str:
    """Log the model, make it a version as people do, and return its address."""
    run_id = logged(row)
    uri = adopting.model_uri(run_id)
    version = mlflow.register_model(uri, adopting.settings.registered_model)
    return f"models:/{version.name}/{version.version}"


def adopted(adopting: Registry, address: str, options: AdoptOptions | None = None, **more: object) -> Adopted:
    return adopt(adopting, replace(AdoptionRequest(address, options or AdoptOptions()), **more))  # type: ignore[arg-type]


#: One of each kind; `python -m tests.adopt_matrix` tries all rows.
SOME = (
    "autolog, texts as a list",
    "pickle, numbers, names of labels",
    "pickle, an array, without signature",
    "pickle, an array with a tensor's signature",
    "pickle, the target in the signature",
    "multi-label",
    "clustering",
    "pyfunc, a class with the names of labels",
    "pyfunc, otherwise on each call",
)


@pytest.mark.parametrize("name", SOME)
def test_each_way_to_log_is_adopted_or_refused_with_a_way_out(adopting: Registry, tmp_path: Path, name: str) -> None:
    row = ROWS[name]
    address = version_of(adopting, row)
    options = AdoptOptions(**files_for(row.options, tmp_path))
    if row.refused:
        with pytest.raises(PasserelleError, match=row.refused):
            adopted(adopting, address, options)
        assert ARTIFACT_DIGEST not in adopting.model_version(adopting.settings.registered_model, 1).tags
        return
    result = adopted(adopting, address, options)
    assert (result.adoption.task, result.adoption.input_form, result.adoption.golden_origin) == (row.task, row.form, row.origin)
    assert result.golden_inputs >= 8
    version = adopting.model_version(adopting.settings.registered_model, 1)
    assert version.ref == result.ref
    assert (version.tags[TASK], version.tags[GOLDEN_ORIGIN]) == (row.task, row.origin)
    assert version.tags[ADOPTION_RUN] == version.ref.run_id != version.logged_by
    with adopting.mlflow("the version") as client:
        shown = client.get_model_version(adopting.settings.registered_model, "1").description or ""
    assert f"`{row.task}`" in shown and f"inputs from `{row.origin}`" in shown and "has not judged it yet" in shown
