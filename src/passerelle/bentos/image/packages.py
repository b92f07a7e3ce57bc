"""Prints what is installed here: Python, its packages and Debian's, as JSON. Runs in a container of the image that it lists."""

import json
import platform
import re
from email.message import Message
from importlib import metadata
from pathlib import Path

LONGEST_NAME = 100
DOCUMENTATION, MOST_CHARACTERS = Path("/usr/share/doc"), 1_048_576


def licence_of(package: Message) -> str:
    """Return the licence's SPDX expression, or what the package says instead, if that is a name and not a text."""
    licence = str(package.get("License-Expression") or package.get("License") or "").strip()
    if licence and len(licence) <= LONGEST_NAME and "\n" not in licence:
        return licence
    classifiers = [each.rsplit(" :: ", 1)[-1] for each in package.get_all("Classifier") or () if each.startswith("License ::")]
    return classifiers[0] if classifiers else ""


def licences_of(name: str, documentation: Path = DOCUMENTATION) -> list[str]:
    """Return the short names of the licences in a package's copyright file; none where it is missing or not machine-readable (DEP-5)."""
    try:
        with (documentation / name / "copyright").open(errors="replace") as file:
            text = file.read(MOST_CHARACTERS)
    except OSError:
        return []
    header, *others = re.split(r"\n[ \t]*\n", text.lstrip())
    if not re.match(r"(?i)(#.*\n)*format(-specification)?:.*(copyright-format|dep-?5)", header):
        return []
    # Each says what holds for some files; paragraphs of a licence alone give its text.
    about_files = [header, *(each for each in others if re.search(r"(?im)^files:", each))]
    named = (re.findall(r"(?im)^license:[ \t]*(\S.*)$", paragraph) for paragraph in about_files)
    return sorted({" ".join(name.split())[:LONGEST_NAME] for names in named for name in names})


def debian() -> list[dict[str, str | list[str]]]:
    """Return Debian's packages: of its database, or of the folder that images without a package manager have instead."""
    database, folder = Path("/var/lib/dpkg/status"), Path("/var/lib/dpkg/status.d")
    texts = [database.read_text(errors="replace")] if database.exists() else []
    texts += [path.read_text(errors="replace") for path in sorted(folder.glob("*")) if path.is_file()] if folder.is_dir() else []
    found: dict[str, dict[str, str | list[str]]] = {}
    for paragraph in "\n\n".join(texts).split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and not line.startswith(" "))
        if "Package" in fields and "installed" in fields.get("Status", "installed"):
            found[fields["Package"]] = {
                "name": fields["Package"], "version": fields.get("Version", ""), "architecture": fields.get("Architecture", ""),
                "licences": licences_of(fields["Package"]),
            }  # fmt: skip
    return [found[name] for name in sorted(found)]


def python() -> list[dict[str, str]]:
    """Return Python's packages."""
    found = {}
    for each in metadata.distributions():
        found[each.metadata["Name"]] = {"name": each.metadata["Name"], "version": each.version, "licence": licence_of(each.metadata)}  # type: ignore[arg-type]
    return [found[name] for name in sorted(found)]


if __name__ == "__main__":
    print(json.dumps({"python": platform.python_version(), "packages": python(), "debian": debian()}))
