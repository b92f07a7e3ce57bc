"""What the gate judges by beside the registry: a team's reference and behaviour suite, and the rows that a version was trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from passerelle.gate.behaviour import BehaviourSuite
from passerelle.gate.reference import ReferenceRows


@dataclass(frozen=True)
class AllRows:
    """All rows of the data that a version was trained on, those that were held out too.

    Attributes:
        records: One row a record.
        labels: One a record.
        source: The file's name.
    """

    records: pd.DataFrame
    labels: NDArray[np.str_]
    source: str


@dataclass(frozen=True)
class GateInputs:
    """What a project gives the gate.

    Attributes:
        reference: The reference test set that the criteria pin; None where they pin none.
        suite: The behaviour suite that they name; None where they name none.
        training_rows: Returns the rows that the challenger was trained on; why they are not there, where they are not.
    """

    reference: ReferenceRows | None = None
    suite: BehaviourSuite | None = None
    training_rows: Callable[[], AllRows | str] = lambda: "the project names no data"


NOTHING = GateInputs()
