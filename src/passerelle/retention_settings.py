"""Where the prediction log is kept, and for how long."""

from __future__ import annotations

from pydantic import Field

from passerelle.settings import Settings


class RetentionSettings(Settings):
    """Collection, retention and erasure of the prediction log."""

    log_bucket: str = Field(
        default="",
        description="Bucket that collected files go to, one of its own and on the S3 of the artifacts; empty: they stay in the folder.",
    )
    log_prefix: str = Field(default="predictions", description="What all names in that bucket begin with.")
    log_text_days: int = Field(default=30, ge=1, description="Days for which texts and comments are kept, counted from the answer.")
    log_days: int = Field(default=730, ge=1, description="Days for which all else of an answer is kept.")
    log_backlog_bytes: int = Field(
        default=1_073_741_824,
        ge=1,
        description="Most bytes of collected files that wait for the bucket; with more, no further lines are collected.",
    )
    log_collect_interval_s: float = Field(default=60.0, ge=1, description="Time between two collections of `collect --follow`, in seconds.")
