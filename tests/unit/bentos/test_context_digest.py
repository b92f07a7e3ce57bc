"""What counts in the digest of a build context."""

from __future__ import annotations

from pathlib import Path

from passerelle.bentos.context import digest_of


def test_a_mode_counts_in_the_digest(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "file").chmod(0o644)
    before = digest_of(tmp_path)
    (tmp_path / "file").chmod(0o600)
    assert digest_of(tmp_path) != before
