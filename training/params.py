"""The figures that this project's training depends on; each has a default, see `passerelle.training.params.Params`."""

from __future__ import annotations

from passerelle.training.params import Params

PARAMS = Params()
