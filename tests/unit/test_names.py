"""Every tag, label and artifact path is written once, in names.py."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from passerelle import names
from tests.syntax_trees import nodes_of

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "passerelle"
FILES = [path for path in (*sorted(SOURCE.rglob("*.py")), ROOT / "service.py") if path != SOURCE / "names.py"]
PARTS_OF_THE_PACKAGE = {path.stem for path in SOURCE.iterdir()}
#: Of a saved image and of a backup: files of other formats that bear the same name.
OTHER_MANIFESTS = {SOURCE / "bentos" / "reproducible.py", SOURCE / "rollout" / "backup_archive.py"}
PATHS = {names.GOLDEN, names.PER_CLASS, names.HELD_OUT, names.TRAIN_HASHES, names.MANIFEST, names.MANIFEST_FILE, names.SIGNATURE}
PATHS |= {names.SIGNATURE_FILE, names.MODEL_FOLDER, names.LINEAGE_FILE}


def strings(path: Path) -> Iterator[str]:
    """Yield every string of the file that is not a docstring, and the fixed parts of its f-strings."""
    prose = {node.value for node in nodes_of(path) if isinstance(node, ast.Expr)}
    yield from (
        node.value for node in nodes_of(path) if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in prose
    )


def test_tags_and_labels_are_written_in_names_alone() -> None:
    tag = re.compile(r"(?<![\w.])passerelle\.([a-z_]*)")
    found = [
        (str(path.relative_to(ROOT)), text)
        for path in FILES
        for text in strings(path)
        if any(name not in {*PARTS_OF_THE_PACKAGE, "toml"} for name in tag.findall(text))
        or names.OCI_PREFIX in text
        or text == names.PARENT_RUN
    ]
    assert found == []


def test_artifact_paths_are_written_in_names_alone() -> None:
    found = [
        (str(path.relative_to(ROOT)), text)
        for path in FILES
        for text in strings(path)
        if text in PATHS and not (text == names.MANIFEST_FILE and path in OTHER_MANIFESTS)
    ]
    assert found == []


def test_no_two_names_stand_for_the_same_tag() -> None:
    tags = [value for value in vars(names).values() if isinstance(value, str) and value.startswith(names.PREFIX)]
    assert len(tags) == len(set(tags))


#: What a name of ours says nothing about: participles and verbs that fit any value.
VAGUE = {"across", "asked", "drawn", "front", "fronted", "held", "likeness", "made", "said", "shown", "told", "wanted"}


def definitions() -> Iterator[tuple[str, str]]:
    """Yield the file of each module, class, function, argument and variable of the package, and its name in lower case."""
    for path in FILES:
        where = str(path.relative_to(ROOT))
        yield where, path.stem
        for node in nodes_of(path):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield where, node.name.strip("_").lower()
            elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
                yield where, (node.id if isinstance(node, ast.Name) else node.attr).strip("_").lower()
            elif isinstance(node, ast.arg):
                yield where, node.arg.strip("_").lower()


def test_names_say_what_they_stand_for() -> None:
    assert [(where, name) for where, name in definitions() if name in VAGUE] == []


def test_no_two_classes_have_the_same_name() -> None:
    classes: dict[str, list[str]] = {}
    for path in FILES:
        for node in nodes_of(path):
            if isinstance(node, ast.ClassDef):
                classes.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    assert {name: places for name, places in classes.items() if len(places) > 1} == {}
