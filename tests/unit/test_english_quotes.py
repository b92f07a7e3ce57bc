"""English messages quote with '…' or `…`: « » is for French pages alone."""

from __future__ import annotations

import ast
from pathlib import Path

SOURCE = Path("src/passerelle")
#: Where « » stand, and why.
FRENCH = {
    "gate/messages.py": "sentences of the French page, and what English has in the place of « »",
    "gate/worth.py": "sentences of the French page",
    "gate/page_spaces.py": "no line of a French page is broken beside them",
    "gate/checks.py": "labels of a message in both languages, of which the English one replaces them",
    "gate/row_checks.py": "likewise",
    "monitoring/drift/drift_text.py": "sentences of the French page",
    "training/candidate.py": "recognized in the messages of libraries",
    "cli/terminal.py": "no line is broken beside them in a French text that is quoted",
}


def texts_with_guillemets(path: Path) -> list[str]:
    literals = (node.value for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Constant))
    return [text for text in literals if isinstance(text, str) and {"«", "»"} & set(text)]


def test_no_english_message_has_french_quotation_marks() -> None:
    found = {path.relative_to(SOURCE).as_posix(): texts for path in SOURCE.rglob("*.py") if (texts := texts_with_guillemets(path))}
    assert found.keys() == FRENCH.keys(), {path: texts for path, texts in found.items() if path not in FRENCH}
