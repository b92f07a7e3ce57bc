"""Which name means which image, while it is made and after it failed; and that nothing is left behind."""

from __future__ import annotations

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from passerelle.bentos import containerize as stage
from passerelle.bentos.engine import inspect
from passerelle.bentos.image_options import BASE, ImageOptions
from passerelle.errors import IntegrityError, OutsideError
from passerelle.rollout.container import smoke
from passerelle.settings import StoreSettings
from passerelle.stages import containerize
from passerelle.stages.context import context_of
from tests.engine_fixtures import TAG, BentoForTests, copied_store, removed

pytestmark = [pytest.mark.integration, pytest.mark.engine]


def names(engine: str, repository: str) -> set[str]:
    listed = [engine, "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", repository]
    return set(subprocess.run(listed, capture_output=True, text=True, check=True, timeout=60).stdout.split())


def dangling(engine: str) -> set[str]:
    """Return the images of the test's bento that have no name, but for the one of another architecture that another test makes."""
    listed = [engine, "image", "ls", "--quiet", "--filter", "dangling=true", "--filter", f"label=passerelle.bento_tag={TAG}"]
    found = subprocess.run(listed, capture_output=True, text=True, check=True, timeout=60).stdout.split()
    own = (inspect(engine, BASE) or {})["Architecture"]
    return {image for image in found if (inspect(engine, image) or {}).get("Architecture") == own}


def spoilt(bento: BentoForTests, home: Path) -> StoreSettings:
    """Return a copy of the store whose golden predictions are not its model's."""
    copied_store(bento, home)
    golden = home / "models" / TAG.name / TAG.version / "golden.json"
    held = json.loads(golden.read_text())
    held["labels"] = held["labels"][1:] + held["labels"][:1]
    held["probabilities"] = None
    golden.write_text(json.dumps(held, ensure_ascii=False))
    return StoreSettings.read(bentoml_home=home)


def test_an_image_that_fails_its_golden_inputs_does_not_take_the_name(
    bento: BentoForTests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = f"{bento.repository}-refused"
    good = bento.image(name=f"{repository}:1")
    settings = spoilt(bento, tmp_path / "bentoml")
    # It never gets ready; that it does not is known as well after some seconds.
    monkeypatch.setattr("passerelle.rollout.container._READY_TIMEOUT_S", 10.0)
    monkeypatch.setenv("BENTOML_HOME", str(settings.bentoml_home))
    monkeypatch.setenv("PASSERELLE_STATE_DIR", str(tmp_path / "state"))
    before = dangling(bento.engine)
    for name in ("1", "2"):
        with pytest.raises((IntegrityError, OutsideError)) as told:
            containerize.run(context_of(os.environ), str(TAG), ImageOptions(image_name=f"{repository}:{name}"))
        assert "--no-smoke" in str(told.value.hint)
    held = inspect(bento.engine, f"{repository}:1")
    assert held is not None
    assert held["Id"] == good.image.digest
    assert names(bento.engine, repository) == {f"{repository}:1"}
    assert dangling(bento.engine) <= before
    assert not list((tmp_path / "bentoml" / "images").glob(f"*{repository.replace('/', '_')}_2*")), "no bill of what was not kept"
    removed(bento.engine, f"{repository}:1")


def test_what_fails_half_way_leaves_no_image_behind(bento: BentoForTests, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = f"{bento.repository}-half"
    before = dangling(bento.engine)

    def no_list(*_: object) -> None:
        raise OutsideError("listing what is in it failed")

    with monkeypatch.context() as patch:
        patch.setattr(stage, "packages_in", no_list)
        with pytest.raises(OutsideError, match="listing"):
            bento.image(name=f"{repository}:1")
    assert names(bento.engine, repository) == set()
    bento.image(name=f"{repository}:1", epoch=1_700_000_000)
    assert names(bento.engine, repository) == {f"{repository}:1"}
    assert dangling(bento.engine) <= before
    removed(bento.engine, f"{repository}:1")


def test_two_builds_at_once_come_to_the_same_image_and_keep_it(bento: BentoForTests) -> None:
    repository = f"{bento.repository}-twice"
    wanted = [f"{repository}:{number}" for number in range(4)]
    with ThreadPoolExecutor(len(wanted)) as pool:
        made = list(pool.map(lambda name: bento.image(name=name), wanted))
    assert all(each.created for each in made)
    assert names(bento.engine, repository) == set(wanted)
    removed(bento.engine, *wanted)


def test_docker_without_buildx_makes_it_too(bento: BentoForTests, monkeypatch: pytest.MonkeyPatch) -> None:
    # Beside the tests above, which count images without a name: this builder leaves its stages behind.
    if bento.engine != "docker":
        pytest.skip("Docker is missing: the former builder is its own")
    monkeypatch.setenv("DOCKER_BUILDKIT", "0")
    name = f"{bento.repository}:former-builder"
    made = bento.image(name=name, cached=False)
    assert made.packages == bento.image().packages
    assert smoke(bento.engine, name, bento.golden, expected_version="7", environment={}).smoke.inputs == len(bento.golden.inputs)
    with pytest.raises(OutsideError, match="returned a non-zero code"):
        bento.image(name=f"{name}-not", base="debian:bookworm-slim")
    removed(bento.engine, name)
