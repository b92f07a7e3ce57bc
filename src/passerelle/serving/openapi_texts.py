"""What people read in the page of the API beside the contract: its groups, the classes, and examples in two languages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from passerelle.model.mlmodel import ModelDescription

#: By their names, in the order of the page.
GROUPS: Mapping[str, str] = {
    "answers": "Send records, get answers.",
    "feedback": "Correct an answer.",
    "model": "What is served, and where it comes from.",
    "health": "For whatever runs the service.",
}
#: Of foreign protocols, where some are on.
DOORS = {"name": "other protocols", "description": "For clients of other servers."}
_MOST_CLASSES = 40
_MESSAGES = (
    ("français", "A message in French", "Le lampadaire de ma rue est en panne."),
    ("english", "A message in English", "The street light in my street is out."),
)


def class_list(classes: Sequence[object] | None) -> str:
    """Return a paragraph of Markdown that lists the classes; empty where they are not known."""
    if not classes:
        return ""
    listed = classes[:_MOST_CLASSES]
    more = f" and {len(classes) - len(listed)} more, which `GET /model` lists" if len(classes) > len(listed) else ""
    return f"\n\n{len(classes)} classes: " + ", ".join(code_span(str(each)) for each in listed) + f"{more}."


def code_span(text: str) -> str:
    """Return a text as a code span of Markdown, within which nothing is markup."""
    plain = "".join(char if char.isprintable() else " " for char in text).replace("`", "'").strip()
    return f"`{plain or ' '}`"


def text_examples(description: ModelDescription, logged: Mapping[str, object]) -> dict[str, object]:
    """Return examples of a record in French and English, and the one that was logged; none unless a record is one text."""
    columns = description.columns
    if len(columns) != 1 or columns[0].type != "string":
        return {}
    messages = {name: {"summary": summary, "value": {columns[0].name: text}} for name, summary, text in _MESSAGES}
    return {**messages, "logged": {"summary": "As the model was logged", "value": dict(logged)}}
