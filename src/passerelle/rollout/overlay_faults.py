"""What is wrong with an overlay, in one sentence with the file and the key; kustomize says it in a line of nested quotes, or not at all."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

#: The name of the deployment and of its container.
_SERVICE = "classify"
_NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_KEYS = (
    "apiVersion", "kind", "metadata", "namespace", "namePrefix", "nameSuffix", "resources", "components", "labels", "commonLabels",
    "commonAnnotations", "patches", "replacements", "images", "replicas", "configMapGenerator", "secretGenerator", "generatorOptions",
    "generators", "transformers", "configurations", "crds", "openapi", "vars", "buildMetadata", "sortOptions",
)  # fmt: skip
_UNKNOWN = re.compile(r'unknown field "(?P<key>[^"]+)')
_MISSING = re.compile(r"lstat (?P<path>\S+): no such file")
_A_PATCH = "{kustomization}: a patch under 'patches'"
#: What else kustomize says, and the sentence for it; the first that fits counts.
_SENTENCES = (
    (
        r"cannot unmarshal (?P<given>\w+) into Go struct field \w+\.(?P<key>[\w.]+) of type (?P<wanted>\S+)",
        "{kustomization}: the key '{key}' holds the type {given}, and kustomize takes {wanted} there",
    ),
    (r"yaml: line (?P<line>\d+): (?P<what>.*?) in File: (?P<file>\S+)", "{file}, line {line} is no YAML: {what}"),
    (r"yaml: line (?P<line>\d+): (?P<what>.*)", "{kustomization}, line {line} is no YAML: {what}"),
    (r"from '(?P<file>[^']+)': missing (?P<key>kind|metadata\.name) in object", "{file}: the key '{key}' is missing"),
    (r'no resource matches strategic merge patch "(?P<target>[^"]+)', _A_PATCH + " changes nothing, for there is no {target}"),
    (r'missing path: "(?P<path>[^"]+)', _A_PATCH + " names the path {path}, which the object does not have"),
    (
        r"Unexpected kind: (?P<what>\w+)",
        _A_PATCH + " has the operation '{what}', which does not exist: op is add, remove, replace or test",
    ),
)
#: What programs put before their sentence, and after it.
_AROUND = re.compile(r'^(?:error: |E\d{4} .*?"command failed" err=[<"]?)\s*|["\s>]+$')


def build_fault(folder: Path, text: str) -> str:
    """Return in one sentence why kustomize does not build an overlay.

    Args:
        folder: The overlay.
        text: What kubectl wrote.
    """
    words = " ".join(_AROUND.sub("", text.strip().replace('\\"', '"')).split())
    if found := _UNKNOWN.search(words):
        return _unknown_key(folder, found["key"])
    for pattern, sentence in _SENTENCES:
        if found := re.search(pattern, words):
            return sentence.format(kustomization=(_kustomization(folder) or Path(_NAMES[0])).name, **found.groupdict())
    if found := _MISSING.search(words):
        return _missing_file(folder, found["path"])
    return words or "kustomize failed and printed nothing"


def fault_of(folder: Path, objects: Sequence[Mapping[str, Any]]) -> str | None:
    """Return in one sentence why an overlay that builds is no overlay of the service, or None.

    Args:
        folder: The overlay.
        objects: What kustomize made of it.
    """
    specs = [each["spec"]["template"]["spec"] for each in objects if each["kind"] == "Deployment" and each["metadata"]["name"] == _SERVICE]
    if not any(container["name"] == _SERVICE for spec in specs for container in spec["containers"]):
        return f"it holds no Deployment {_SERVICE} with a container {_SERVICE}, which the image is put into"
    return patch_without_object(folder, objects)


def patch_without_object(folder: Path, objects: Sequence[Mapping[str, Any]]) -> str | None:
    """Return in one sentence which patch of an overlay changes nothing, or None: kustomize says nothing of a target that no object is."""
    path = _kustomization(folder)
    content = yaml.safe_load(path.read_text(encoding="utf-8")) if path is not None else None
    for patch in (content or {}).get("patches") or ():
        target = patch.get("target") or {}
        removes = "$patch: delete" in str(patch.get("patch", ""))
        if target and not removes and not any(_is_target(each, target) for each in objects):
            missing = " ".join(str(target[key]) for key in ("kind", "name") if key in target) or str(target)
            names = sorted(f"{each['kind']} {each['metadata']['name']}" for each in objects)
            close = difflib.get_close_matches(missing, names, n=1)
            instead = f"; did you mean {close[0]}?" if close else ""
            return f"{path.name if path else folder.name}: a patch under 'patches' changes nothing, for there is no {missing}{instead}"
    return None


def _is_target(each: Mapping[str, Any], target: Mapping[str, Any]) -> bool:
    """Return whether a target names the object; kustomize takes its kind and its name as patterns. Other conditions are left to it."""
    values = {"kind": each["kind"], "name": each["metadata"]["name"]}
    return all(re.fullmatch(str(target[key]), value) for key, value in values.items() if key in target)


def _kustomization(folder: Path) -> Path | None:
    return next((folder / name for name in _NAMES if (folder / name).is_file()), None)


def _reachable(folder: Path) -> Iterator[Path]:
    """Yield the kustomization of the overlay, then those of the folders beside and above that it may name."""
    own = _kustomization(folder)
    if own is not None:
        yield own
    yield from sorted(path for name in _NAMES for path in folder.parents[1].rglob(name) if path != own)


def _unknown_key(folder: Path, key: str) -> str:
    for path in _reachable(folder):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if re.match(rf"\s*[-{{]?\s*{re.escape(key)}\s*:", line):
                close = difflib.get_close_matches(key, _KEYS, n=1)
                instead = f"; did you mean '{close[0]}'?" if close else ""
                return f"{_from(path, folder)}, line {number}: kustomize knows no key '{key}'{instead}"
    return f"kustomize knows no key '{key}'"


def _missing_file(folder: Path, missing: str) -> str:
    for path in _reachable(folder):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            for word in re.findall(r"[^\s,\[\]{}\"']+", line.partition("#")[0]):
                if (path.parent / word).resolve() == Path(missing).resolve():
                    return f"{_from(path, folder)}, line {number} names {word}, and there is no such file or folder"
    return f"there is no file or folder {missing}"


def _from(path: Path, folder: Path) -> str:
    """Return a file's path from the overlay, or from the folder of all overlays and bases."""
    return path.name if path.parent == folder else str(path.relative_to(folder.parents[1]))
