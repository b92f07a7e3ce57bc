"""YAML that people edit, read at a bounded cost and with one meaning: what YAML 1.1 and 1.2 read differently is refused by its key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from passerelle.regular_file import open_regular_file

#: More is no file that people edit; PyYAML takes seconds for a megabyte.
MOST_BYTES = 128 << 10
#: Collections within collections.
MOST_LEVELS = 20
_MOST_DIGITS = 100
_AMBIGUOUS = "!ambiguous"
_TEXT = "tag:yaml.org,2002:str"
_RESOLVERS = (
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE"),
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|"),
    ("tag:yaml.org,2002:int", r"[-+]?(?:0|[1-9][0-9_]*)"),
    ("tag:yaml.org,2002:float", r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9]+|[0-9][0-9_]*(?=[eE]))(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)"),
    ("tag:yaml.org,2002:float", r"\.(?:nan|NaN|NAN)"),
    # Truth values, octal and hexadecimal numbers and numbers to the base of 60 of YAML 1.1, which are texts in YAML 1.2 or the reverse.
    (_AMBIGUOUS, r"yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF"),
    (_AMBIGUOUS, r"[-+]?0[0-9_]+|[-+]?0[box][0-9a-fA-F_]+|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"),
)


class YamlFault(yaml.YAMLError):
    """A file is not YAML that is read here; the message is one line that names the place."""


class _Loader(yaml.SafeLoader):
    """Refuses depth, aliases, tags, duplicate keys and what has two meanings, before anything is paid for it."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - as PyYAML declares it

    def fetch_flow_collection_start(self, token: Any) -> None:
        """Refuse the bracket that is one too deep."""
        self._check_depth(self.flow_level)
        super().fetch_flow_collection_start(token)

    def add_indent(self, column: int) -> bool:
        """Refuse the indentation that is one too deep."""
        self._check_depth(len(self.indents))
        return bool(super().add_indent(column))

    def fetch_alias(self) -> None:
        """Refuse an alias: a few lines of them stand for billions of values."""
        raise YamlFault(f"line {self.line + 1}: aliases (*) are not read; write the value out")

    def fetch_anchor(self) -> None:
        """Refuse the anchor of an alias."""
        raise YamlFault(f"line {self.line + 1}: anchors (&) are not read; write the value out")

    def fetch_tag(self) -> None:
        """Refuse a tag, which gives a value another type."""
        raise YamlFault(f"line {self.line + 1}: tags (!) are not read; write the value without one")

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Return the block's node after checking that each key is given once and that no value has two meanings."""
        node = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise YamlFault(f"line {key.start_mark.line + 1}: a key is a text")
            line = key.start_mark.line + 1
            if key.value in lines:
                raise YamlFault(f"{_short(key.value)} is given twice, in line {lines[key.value]} and in line {line}")
            lines[key.value] = line
            _check_meaning(key)
            _check_meaning(value, f"{_short(key.value)}: ")
        return node

    def compose_sequence_node(self, anchor: Any) -> yaml.SequenceNode:
        """Return the list's node after checking that no value has two meanings."""
        node = super().compose_sequence_node(anchor)
        for value in node.value:
            _check_meaning(value)
        return node

    def _check_depth(self, levels: int) -> None:
        if levels > MOST_LEVELS:
            raise YamlFault(f"line {self.line + 1}: more than {MOST_LEVELS} levels, one within the other")


for _tag, _pattern in _RESOLVERS:
    _Loader.add_implicit_resolver(_tag, re.compile(rf"^(?:{_pattern})$"), None)


def read_yaml(path: Path) -> Any:
    """Return the content of a file that people edit.

    Raises:
        OSError: The file cannot be read.
        YamlFault: It is too large, too deep, not YAML, or holds what is not read; names the line and the key.
    """
    with open_regular_file(path) as file:
        content = file.read(MOST_BYTES + 1)
    return parse_yaml(content)


def parse_yaml(content: bytes) -> Any:
    """Return what the content of such a file says.

    Raises:
        YamlFault: As `read_yaml`.
    """
    if len(content) > MOST_BYTES:
        raise YamlFault(f"more than {MOST_BYTES >> 10} KiB")
    try:
        return yaml.load(content.decode("utf-8-sig"), Loader=_Loader)  # noqa: S506 - a SafeLoader
    except YamlFault:
        raise
    except UnicodeDecodeError as error:
        raise YamlFault(f"not UTF-8: byte {error.start}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlFault(f"line {mark.line + 1}: {error.problem or error.context}" if mark else str(error.problem)) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise YamlFault(" ".join(str(error).split())[:200]) from None


def _check_meaning(node: yaml.Node, of: str = "") -> None:
    if not isinstance(node, yaml.ScalarNode) or node.style in {"'", '"'}:
        return
    line, written = node.start_mark.line + 1, _short(node.value)
    if node.tag == _AMBIGUOUS:
        message = f"line {line}: {of}{written} is a truth value or a number to some readers of YAML and a text to others"
        raise YamlFault(f"{message}: write true, false or a decimal number, or put the text into quotation marks")
    if node.tag != _TEXT and len(node.value) > _MOST_DIGITS:
        raise YamlFault(f"line {line}: {of}a number of {len(node.value):,} characters")


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:80]}…"  # noqa: PLR2004 - of a line
