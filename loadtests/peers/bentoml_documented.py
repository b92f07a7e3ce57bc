"""BentoML as its documentation shows an MLflow model: a service class, an api, the pyfunc model."""

from __future__ import annotations

import os

import bentoml
import mlflow.pyfunc
import pandas as pd


@bentoml.service(workers=1)
class Documented:
    """The comment classifier."""

    def __init__(self) -> None:
        self.model = mlflow.pyfunc.load_model(os.environ["MODEL_PATH"])

    @bentoml.api
    def classify(self, text: str) -> str:
        """Return the label of the comment."""
        return str(self.model.predict(pd.DataFrame([{"text": text}]))[0])
