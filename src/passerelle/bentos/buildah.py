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
    words = list(arguments)
    if words[:2] == ["image", "inspect"]:
        return _inspected(run, words[2:])
    if words[:2] == ["run", "--rm"]:
        return _ran(run, words[2:])
    return run(*_in_its_words(words))


def _in_its_words(words: list[str]) -> list[str]:
    """Return the command that does the same, where it is one."""
    match words:
        case ["info", *_]:
            translated = ["info"]
        case ["image", "ls", "--quiet", "--filter", condition]:
            translated = ["images", "--quiet", "--no-trunc", "--filter", condition]
        case ["image", "rm", *names]:
            translated = ["rmi", *names]
        case ["save", "--output", path, name]:
            local = name if name.startswith("localhost/") else f"localhost/{name}"
            translated = ["push", "--quiet", name, f"docker-archive:{path}:{local}"]
        case ["load", "--quiet", "--input", path]:
            translated = ["pull", "--quiet", f"docker-archive:{path}"]
        case _:
            translated = words
    return translated


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
    layers, unpacked = manifest["layers"], described["rootfs"]["diff_ids"]
    # Registries have packed layers. With an unpacked one, this is not the manifest that a registry has, nor its digest.
    of_registry = not {layer["digest"] for layer in layers} & set(unpacked)
    return {
        "Id": f"sha256:{image['FromImageID'].removeprefix('sha256:')}",
        "RepoTags": [image["FromImage"]],
        "RepoDigests": [f"{repository}@{image['FromImageDigest']}"] if of_registry else [],
        "Architecture": described["architecture"],
        "Created": described["created"],
        "Config": described["config"],
        "RootFS": {"Layers": unpacked},
        "Size": sum(int(layer["size"]) for layer in layers),
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
