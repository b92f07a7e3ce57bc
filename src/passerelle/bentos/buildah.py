"""Buildah, which builds without a daemon: docker's commands, as far as passerelle calls them, in Buildah's words."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

#: Runs `buildah` with these arguments.
Run = Callable[..., "subprocess.CompletedProcess[str]"]
_WITH_A_VALUE = {"--network", "--cap-drop", "--entrypoint", "--platform"}


def answer(run: Run, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Return what Buildah answers to a command of docker, in the form that docker gives it."""
    match list(arguments):
        case ["info", *_]:
            return run("info")
        case ["image", "inspect", *names]:
            return _inspected(run, names)
        case ["image", "ls", "--quiet", "--filter", condition]:
            return run("images", "--quiet", "--no-trunc", "--filter", condition)
        case ["image", "rm", *names]:
            return run("rmi", *names)
        case ["run", "--rm", *rest]:
            return _ran(run, rest)
        case ["save", "--output", path, name]:
            local = name if name.startswith("localhost/") else f"localhost/{name}"
            return run("push", "--quiet", name, f"docker-archive:{path}:{local}")
        case ["load", "--quiet", "--input", path]:
            return run("pull", "--quiet", f"docker-archive:{path}")
        case others:
            return run(*others)


def _inspected(run: Run, names: Sequence[str]) -> subprocess.CompletedProcess[str]:
    images = []
    for name in names:
        done = run("inspect", "--type", "image", name)
        if done.returncode != 0:
            return done
        images.append(docker_form(json.loads(done.stdout)))
    return subprocess.CompletedProcess(["buildah"], 0, json.dumps(images), "")


def docker_form(image: dict[str, Any]) -> dict[str, Any]:
    """Return what `buildah inspect` says of an image under the names that `docker image inspect` has for it."""
    described, manifest = image["Docker"], json.loads(image["Manifest"])
    repository = image["FromImage"].rpartition(":")[0] or image["FromImage"]
    return {
        "Id": f"sha256:{image['FromImageID'].removeprefix('sha256:')}",
        "RepoTags": [image["FromImage"]],
        "RepoDigests": [f"{repository}@{image['FromImageDigest']}"],
        "Architecture": described["architecture"],
        "Created": described["created"],
        "Config": described["config"],
        "RootFS": {"Layers": described["rootfs"]["diff_ids"]},
        "Size": sum(int(layer["size"]) for layer in manifest["layers"]),
    }


def _ran(run: Run, rest: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a program of an image in a container that is removed afterwards."""
    options: dict[str, str] = {}
    words = list(rest)
    while words[0].startswith("-"):
        option = words.pop(0)
        options[option] = words.pop(0) if option in _WITH_A_VALUE else ""
    image, *arguments = words
    platform = ("--platform", options["--platform"]) if "--platform" in options else ()
    begun = run("from", "--quiet", *platform, image)
    if begun.returncode != 0:
        return begun
    container = begun.stdout.strip()
    try:
        return run("run", "--cap-drop", "ALL", container, "--", options["--entrypoint"], *arguments)
    finally:
        run("rm", container)
