"""FastAPI with ``mlflow.pyfunc.load_model``: what a team writes first."""

from __future__ import annotations

import os

import mlflow.pyfunc
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
model = mlflow.pyfunc.load_model(os.environ["MODEL_PATH"])


class Record(BaseModel):
    """One comment."""

    text: str


@app.get("/health")
def health() -> dict[str, str]:
    """Return that the server answers."""
    return {"status": "ok"}


@app.post("/classify")
def classify(record: Record) -> dict[str, object]:
    """Return the label of the comment."""
    return {"label": str(model.predict(pd.DataFrame([{"text": record.text}]))[0])}
