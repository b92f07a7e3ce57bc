"""What is checked of the settings before any worker starts."""

from __future__ import annotations

from passerelle.cluster_settings import DeploymentSettings
from passerelle.follow_settings import FollowSettings
from passerelle.log_settings import check_log
from passerelle.serving.following.start import check_following
from passerelle.serving.runtime import Runtime


def check_settings(runtime: Runtime, follow: FollowSettings) -> None:
    """Check what the settings say of following, of the prediction log and of the model that is expected.

    Raises:
        SettingsError: No service can run with them.
    """
    check_following(runtime, follow)
    check_log()
    DeploymentSettings.read()
