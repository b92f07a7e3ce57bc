"""Declares the paths of the model's task to BentoML, for its schema and its clients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import bentoml
from pydantic import BaseModel

from passerelle.serving.runtime import Runtime

Service = TypeVar("Service", bound=type)


def answering(runtime: Runtime) -> Callable[[Service], Service]:
    """Return a decorator that adds the methods which answer records: `classify` of a classifier, and else `predict`."""
    contract, answers = runtime.contract, runtime.answers

    async def one(_: Any, **record: Any) -> BaseModel:
        """Answer one record."""
        fields, params = contract.parted(record)
        return answers.one(**await runtime.classify(fields, params=params))

    async def several(_: Any, records: list[BaseModel], params: BaseModel | None = None) -> BaseModel:
        """Answer several records, in their order."""
        fields = [contract.fields(record) for record in records]
        return answers.batch(**await runtime.classify_batch(fields, params=contract.params_of(params)))

    # BentoML ignores the argument `name` of its decorator, and its clients name the methods after the functions.
    one.__name__, several.__name__ = answers.name, answers.batch_name

    def decorated(service: Service) -> Service:
        one_api = bentoml.api(route=answers.path, input_spec=contract.record, output_spec=answers.one)
        batch_api = bentoml.api(route=answers.batch_path, input_spec=contract.batch, output_spec=answers.batch)
        setattr(service, answers.name, one_api(one))
        setattr(service, answers.batch_name, batch_api(several))
        return service

    return decorated
