"""Names of the parameters of runs that hold digests of numbered objects: of the ledger's entries, and of the looks at test sets."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping


def numbered_param(prefix: str, registered_model: str, number: int | None = None) -> str:
    """Return the name of such a parameter, or what such names begin with; a run may be of several registered models."""
    whose = hashlib.sha256(registered_model.encode()).hexdigest()[:8]
    return f"{prefix}{whose}." + ("" if number is None else f"{number:06d}")


def digests_by_number(params: Mapping[str, str], prefix: str, registered_model: str) -> dict[int, str]:
    """Return the digests that parameters of this prefix hold for the registered model, by number."""
    pattern = re.compile(re.escape(numbered_param(prefix, registered_model)) + r"([0-9]{6})")
    named = ((pattern.fullmatch(name), digest) for name, digest in params.items())
    return {int(match[1]): digest for match, digest in named if match}
