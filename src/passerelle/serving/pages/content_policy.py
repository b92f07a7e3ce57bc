"""The content security policy of a page: what a browser runs and loads of it."""

from __future__ import annotations

import base64
import hashlib
import re

_SCRIPTS, _STYLES = (re.compile(rf"<{element}>(.*?)</{element}>", re.DOTALL) for element in ("script", "style"))


def policy_of(page: str) -> str:
    """Return the policy that allows the page's own inline scripts and styles by their digests, files of the service, and nothing else.

    What a model or a text contains is never run, whatever became of it on its way into the page.
    """
    scripts, styles = (" ".join(("'self'", *map(_digest, kind.findall(page)))) for kind in (_SCRIPTS, _STYLES))
    return (
        f"default-src 'none'; script-src {scripts}; style-src {styles}; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _digest(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
