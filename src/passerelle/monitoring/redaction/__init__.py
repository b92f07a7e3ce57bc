"""Redaction of French personal data by rules and checksums; it lowers the risk of a logged text and does not make it anonymous."""

from __future__ import annotations

from passerelle.monitoring.redaction.replace import RULES_VERSION, Redacted, redact

__all__ = ["RULES_VERSION", "Redacted", "redact"]
