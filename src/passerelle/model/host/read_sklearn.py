"""scikit-learn estimators, in skops files or in pickles."""

from __future__ import annotations

from passerelle.model.host.estimator import Estimator
from passerelle.model.host.readers import Recipe, of_format


def read(recipe: Recipe) -> Estimator:
    """Return the estimator of the directory."""
    path = recipe.file("pickled_model", str(recipe.function.get("model_path") or "model.pkl"))
    return Estimator(of_format(path, str(recipe.entry.get("serialization_format", "pickle")), recipe.trusts), recipe.names)
