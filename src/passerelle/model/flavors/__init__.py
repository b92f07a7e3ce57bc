"""The flavors of MLflow that can be served, by their name in the MLmodel file."""

from __future__ import annotations

from collections.abc import Mapping

from passerelle.model.flavors.flavor import Flavor
from passerelle.model.flavors.sklearn import Sklearn

#: The flavor that training logs.
TRAINED_FLAVOR = "sklearn"
FLAVORS: Mapping[str, Flavor] = {
    "sklearn": Sklearn(),
}
