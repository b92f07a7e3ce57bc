"""The commands that an error or a result names next, about one of several registered models."""

from __future__ import annotations

import re
import shlex

#: The commands that take `--model`, of which each names one that is known already; a hint about `adopt` or `convert` names an address.
TAKE_MODEL = {
    "train", "compare", "register", "promote", "import", "build", "containerize", "deploy", "serve", "monitor", "status", "history",
    "rollback", "rollout", "drift", "trace", "reproduce", "feedback export", "feedback import", "feedback sample", "erase", "score",
    "openapi",
}  # fmt: skip
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*=")


def about_model(commands: str, registered_model: str) -> str:
    """Return commands, as a hint holds them, with `--model` where they take it and name none."""
    return "\n".join("; ".join(_about(command, registered_model) for command in line.split("; ")) for line in commands.split("\n"))


def _about(command: str, registered_model: str) -> str:
    words = command.split(" ")
    while words and _VARIABLE.match(words[0]):
        words = words[1:]
    if words[:1] == ["passerelle"] and not TAKE_MODEL.isdisjoint({*words[1:2], " ".join(words[1:3])}) and "--model" not in words:
        return f"{command} --model {shlex.quote(registered_model)}"
    return command
