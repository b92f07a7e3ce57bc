"""The bill of materials of an image: what Python and Debian say is installed in it, in CycloneDX."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from importlib import resources
from typing import Final, TypedDict

from cyclonedx.contrib.license.exceptions import InvalidSpdxLicenseException
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from passerelle.bentos.engine import ask, failed
from passerelle.bentos.locked_hashes import Hashes, pinned

#: Where a package states no licence, or none that a program can read; SPDX's word.
NOASSERTION: Final = "NOASSERTION"
_LIST_TIMEOUT_S = 120.0
_PYTHON = "PSF-2.0"
#: Debian's short names of DEP-5, in lower case, where SPDX has another.
_SPDX = {"expat": "MIT", "zlib": "Zlib", "bsd-2-clause": "BSD-2-Clause", "bsd-3-clause": "BSD-3-Clause", "apache-2": "Apache-2.0"}
_GNU = re.compile(r"(?P<family>A?GPL|LGPL|GFDL)-(?P<major>[1-9])(\.(?P<minor>[0-9]))?(\.0)?(?P<later>\+)?", re.IGNORECASE)


class PythonPackage(TypedDict):
    """A package of Python; its licence is empty where it states none."""

    name: str
    version: str
    licence: str


class DebianPackage(TypedDict):
    """A package of Debian; its licences by Debian's short names, none where its copyright file is not machine-readable."""

    name: str
    version: str
    architecture: str
    licences: list[str]


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
    packages += [PythonPackage(name="python", version=version, licence=_PYTHON) for version in interpreters]
    return Packages(python=first["python"], packages=packages, debian=first["debian"])


def bill_of_materials(
    found: Packages, *, name: str, version: str, created: str, labels: Mapping[str, str], hashes: Hashes | None = None
) -> str:
    """Return the CycloneDX 1.6 document, the same each time for the same packages.

    Args:
        found: What `packages_in` returns.
        name: Of the image.
        version: Of the image: the bento's.
        created: Written as the document's time, ISO 8601.
        labels: The image's lineage, written as properties.
        hashes: What `locked_hashes` returns.
    """
    root = Component(name=name, version=version, type=ComponentType.CONTAINER, bom_ref=f"{name}:{version}")
    bom = Bom(components=[*_python(found, hashes or {}), *_debian(found)])
    bom.metadata.component = root
    bom.metadata.timestamp = datetime.fromisoformat(created)
    bom.metadata.properties = [Property(name=label, value=value) for label, value in sorted(labels.items())]
    described = [name, version, found, dict(labels), sorted(map(repr, (hashes or {}).items()))]
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(described, sort_keys=True))
    bom.register_dependency(root, list(bom.components))
    return str(JsonV1Dot6(bom).output_as_string(indent=1))


def _python(found: Packages, hashes: Hashes) -> Iterable[Component]:
    interpreter = PackageURL("generic", None, "python", found["python"])
    yield Component(
        name="python",
        version=found["python"],
        type=ComponentType.PLATFORM,
        purl=interpreter,
        licenses=[_licence(_PYTHON)],
        bom_ref=str(interpreter),
    )
    for package in found["packages"]:
        purl = PackageURL("pypi", None, package["name"].lower().replace("_", "-"), package["version"])
        yield Component(
            name=package["name"],
            version=package["version"],
            type=ComponentType.LIBRARY,
            purl=purl,
            licenses=[LicenseFactory().make_from_string(package["licence"] or NOASSERTION)],
            external_references=_distributions(purl, hashes.get(pinned(package["name"], package["version"]), ())),
            bom_ref=str(purl),
        )


def _distributions(purl: PackageURL, hashes: Sequence[str]) -> Iterable[ExternalReference]:
    """Yield the files that the lock allows for a package, by their hashes; which index they come from makes no difference."""
    if hashes:
        yield ExternalReference(
            type=ExternalReferenceType.DISTRIBUTION,
            url=XsUri(str(purl)),
            comment="the lock allows the distributions with these hashes; one of them is installed",
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=each) for each in hashes],
        )


def _debian(found: Packages) -> Iterable[Component]:
    for package in found["debian"]:
        purl = PackageURL("deb", "debian", package["name"], package["version"], {"arch": package["architecture"]})
        yield Component(
            name=package["name"],
            version=package["version"],
            type=ComponentType.LIBRARY,
            purl=purl,
            licenses=[_licence(each) for each in package["licences"] or [NOASSERTION]],
            bom_ref=str(purl),
        )


def _licence(name: str) -> DisjunctiveLicense:
    """Return a licence by its SPDX identifier, from Debian's short name where there is one for it, and else by its name."""
    gnu = _GNU.fullmatch(name)
    if gnu:
        identifier = f"{gnu['family'].upper()}-{gnu['major']}.{gnu['minor'] or 0}-{'or-later' if gnu['later'] else 'only'}"
    else:
        identifier = _SPDX.get(name.lower(), name)
    try:
        return LicenseFactory().make_with_id(identifier)
    except InvalidSpdxLicenseException:
        return LicenseFactory().make_with_name(name)
