"""Prints what is installed here: Python, its packages and Debian's, as JSON. Runs in a container of the image that it lists."""

import json
import platform
from email.message import Message
from importlib import metadata
from pathlib import Path

LONGEST_NAME = 100


def licence_of(package: Message) -> str:
    """Return the licence's SPDX expression, or what the package says instead, if that is a name and not a text."""
    licence = str(package.get("License-Expression") or package.get("License") or "").strip()
    if licence and len(licence) <= LONGEST_NAME and "\n" not in licence:
        return licence
    classifiers = [each.rsplit(" :: ", 1)[-1] for each in package.get_all("Classifier") or () if each.startswith("License ::")]
    return classifiers[0] if classifiers else ""


def debian() -> list[dict[str, str]]:
    """Return Debian's packages: of its database, or of the folder that images without a package manager have instead."""
    database, folder = Path("/var/lib/dpkg/status"), Path("/var/lib/dpkg/status.d")
    texts = [database.read_text(errors="replace")] if database.exists() else []
    texts += [path.read_text(errors="replace") for path in sorted(folder.glob("*")) if path.is_file()] if folder.is_dir() else []
    found = {}
    for paragraph in "\n\n".join(texts).split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and not line.startswith(" "))
        if "Package" in fields and "installed" in fields.get("Status", "installed"):
            found[fields["Package"]] = {
                "name": fields["Package"], "version": fields.get("Version", ""), "architecture": fields.get("Architecture", "")
            }  # fmt: skip
    return [found[name] for name in sorted(found)]


packages = {}
for each in metadata.distributions():
    packages[each.metadata["Name"]] = {"name": each.metadata["Name"], "version": each.version, "licence": licence_of(each.metadata)}  # type: ignore[arg-type]
print(json.dumps({"python": platform.python_version(), "packages": [packages[name] for name in sorted(packages)], "debian": debian()}))
