"""Check the RayJob of deploy/kubernetes/ray against KubeRay's own definition, which no Python package holds:

    python -m tests.rayjob_schema ray.io_rayjobs.yaml

The file is `ray-operator/config/crd/bases/ray.io_rayjobs.yaml` of github.com/ray-project/kuberay. Fields that it does not know are errors.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

ROOT = Path(__file__).resolve().parents[1]


def main(definition: Path) -> int:
    """Print what is wrong with the RayJob; return 1 where something is."""
    versions = yaml.safe_load(definition.read_text(encoding="utf-8"))["spec"]["versions"]
    job = yaml.safe_load((ROOT / "deploy" / "kubernetes" / "ray" / "rayjob.yaml").read_text(encoding="utf-8"))
    name = job["apiVersion"].partition("/")[2]
    (schema,) = (each["schema"]["openAPIV3Schema"] for each in versions if each["name"] == name)
    _close(schema)
    schema["properties"]["metadata"] = {"type": "object"}
    faults = [f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(job)]
    sys.stdout.write("\n".join(faults or ["the RayJob is valid"]) + "\n")
    return int(bool(faults))


def _close(schema: Any) -> None:
    """Let each object have the fields that it names and no others."""
    if isinstance(schema, list):
        for each in schema:
            _close(each)
    elif isinstance(schema, dict):
        open_ended = "additionalProperties" in schema or schema.get("x-kubernetes-preserve-unknown-fields")
        if isinstance(schema.get("properties"), dict) and not open_ended:
            schema["additionalProperties"] = False
        for each in schema.values():
            _close(each)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
