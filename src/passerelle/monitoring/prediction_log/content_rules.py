"""What the service's settings say of the content that is logged."""

from __future__ import annotations

from passerelle.log_settings import LogSettings, digest_key
from passerelle.monitoring.prediction_log.content import ContentRules


def rules_of(settings: LogSettings) -> ContentRules:
    """Return which columns are logged, how texts are, and the key of the digests.

    Raises:
        SettingsError: The file of the key cannot be read.
    """
    return ContentRules(settings.columns, settings.log_text, digest_key(settings))
