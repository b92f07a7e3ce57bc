"""The bill of materials of an image: what Python and Debian say is installed in it, in CycloneDX."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from importlib import resources
from typing import TypedDict

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from passerelle.bentos.engine import ask, failed

_LIST_TIMEOUT_S = 120.0


class PythonPackage(TypedDict):
    """A package of Python; its licence is empty where it states none."""

    name: str
    version: str
    licence: str


class DebianPackage(TypedDict):
    """A package of Debian."""

    name: str
    version: str
    architecture: str


class Packages(TypedDict):
    """What image/packages.py finds: the interpreter's version, and what is installed."""

    python: str
    packages: list[PythonPackage]
    debian: list[DebianPackage]


def packages_in(engine: str, image: str, pythons: Sequence[Sequence[str]] = (("python3",),)) -> Packages:
    """Return what is installed in the image, listed by its own interpreters in a container without a network.

    Args:
        pythons: The command of each interpreter that has packages of its own; the first one's version stands for Python.

    Raises:
        OutsideError: The image does not run.
    """
    script = (resources.files("passerelle.bentos") / "image" / "packages.py").read_text()
    without_anything = ("--network", "none", "--read-only", "--cap-drop", "ALL")
    lists: list[Packages] = []
    for program, *options in pythons:
        command = ["run", "--rm", *without_anything, "--entrypoint", program, image, *options, "-c", script]
        done = ask(engine, *command, timeout_s=_LIST_TIMEOUT_S)
        if done.returncode != 0:
            raise failed(engine, done.stderr, of=f"listing what is in {image}", hint="passerelle containerize")
        lists.append(json.loads(done.stdout))
    return together(lists)


def together(lists: Sequence[Packages]) -> Packages:
    """Return the packages of several interpreters of one image; what two of them have in the same version is there once."""
    first, *others = lists
    python = {(each["name"].lower(), each["version"]): each for found in reversed(lists) for each in found["packages"]}
    interpreters = sorted({found["python"] for found in others} - {first["python"]})
    packages = [python[key] for key in sorted(python)] if others else first["packages"]
    packages += [PythonPackage(name="python", version=version, licence="PSF-2.0") for version in interpreters]
    return Packages(python=first["python"], packages=packages, debian=first["debian"])


def bill_of_materials(found: Packages, *, name: str, version: str, created: str, labels: Mapping[str, str]) -> str:
    """Return the CycloneDX 1.6 document, the same each time for the same packages.

    Args:
        found: What `packages_in` returns.
        name: Of the image.
        version: Of the image: the bento's.
        created: Written as the document's time, ISO 8601.
        labels: The image's lineage, written as properties.
    """
    root = Component(name=name, version=version, type=ComponentType.CONTAINER, bom_ref=f"{name}:{version}")
    bom = Bom(components=[*_python(found), *_debian(found)])
    bom.metadata.component = root
    bom.metadata.timestamp = datetime.fromisoformat(created)
    bom.metadata.properties = [Property(name=label, value=value) for label, value in sorted(labels.items())]
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([name, version, found, dict(labels)], sort_keys=True))
    bom.register_dependency(root, list(bom.components))
    return str(JsonV1Dot6(bom).output_as_string(indent=1))


def _python(found: Packages) -> Iterable[Component]:
    licences = LicenseFactory()
    interpreter = PackageURL("generic", None, "python", found["python"])
    yield Component(name="python", version=found["python"], type=ComponentType.PLATFORM, purl=interpreter, bom_ref=str(interpreter))
    for package in found["packages"]:
        purl = PackageURL("pypi", None, package["name"].lower().replace("_", "-"), package["version"])
        licence = [licences.make_from_string(package["licence"])] if package["licence"] else []
        yield Component(
            name=package["name"], version=package["version"], type=ComponentType.LIBRARY, purl=purl, licenses=licence, bom_ref=str(purl)
        )


def _debian(found: Packages) -> Iterable[Component]:
    for package in found["debian"]:
        purl = PackageURL("deb", "debian", package["name"], package["version"], {"arch": package["architecture"]})
        yield Component(name=package["name"], version=package["version"], type=ComponentType.LIBRARY, purl=purl, bom_ref=str(purl))
