"""The stack that the tests of this folder share."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator

import pytest

from tests.stack.stack_fixtures import StackForTests, copied, removed_at_the_end


@pytest.fixture(scope="package")
def stack(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackForTests]:
    """The platform from nothing, with images that are built already or now, and the demo's model in it: what `make stack` does."""
    if engine != "docker":
        pytest.skip("the stack needs Docker with compose")
    made = copied(tmp_path_factory.mktemp("stack"), "passerelle-test-stack")
    # As after a clone under a strict umask.
    for path in ((config := made.folder / "deploy" / "prometheus"), *config.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    with removed_at_the_end(made):
        if not os.environ.get("STACK_IMAGES_ARE_BUILT"):
            made.compose("build", "--quiet", timeout=1500)
        began = time.monotonic()
        said = made.run("passerelle", "up", "--target", "compose", "--no-model", timeout=600)
        made.figures["platform_s"] = time.monotonic() - began
        assert said.returncode == 0, said.stdout + said.stderr
        made.connect()
        yield made


@pytest.fixture(scope="package")
def served(stack: StackForTests) -> StackForTests:
    """The same with the demo's model, served by both replicas."""
    said = stack.done("passerelle", "up", "--target", "compose", timeout=600)
    assert "nothing is in production" in said
    assert json.loads(stack.done("passerelle", "status", "--json"))["holdings"]["ledger"] is None, "`up` promotes nothing"
    began = time.monotonic()
    asked = json.loads(stack.done("passerelle", "demo", "--target", "compose", "--json", timeout=600))["answer"]
    assert (asked["label"], asked["model_version"]) == ("Pb de suivi /Délai", "1")
    stack.figures["model_s"] = time.monotonic() - began
    return stack
