"""What people say of the answers: exported to train on, imported from a table, and sampled."""

from __future__ import annotations

from passerelle.stages.feedback_export import run as export
from passerelle.stages.feedback_import import run as import_
from passerelle.stages.feedback_sample import run as sample

__all__ = ["export", "import_", "sample"]
