"""The gate judges what was registered: files of a version, or of its training's data, that were changed since are refused."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from passerelle.errors import IntegrityError
from passerelle.names import ModelVersionRef
from passerelle.registry.client import Registry
from passerelle.registry.criteria import Criteria
from passerelle.registry.promote import Asked, promote
from tests.platform_fixtures import HERE, RegisteredForTests, changed_object, flipped, model_keys, run_keys

pytestmark = pytest.mark.integration
LENIENT = Criteria.model_validate({"champion": {"must_be_better": False, "not_worse_by": 1.0, "resamples": 100}})


@dataclass(frozen=True)
class Two:
    """A champion in production, and a challenger."""

    registry: Registry
    champion: ModelVersionRef
    challenger: ModelVersionRef

    def judge(self) -> None:
        assert promote(self.registry, ref=self.challenger, criteria=LENIENT, asked=Asked(who="test@here", serving=HERE), dry_run=True)


@pytest.fixture
def two(registered: RegisteredForTests) -> Two:
    registry = registered.fresh()
    champion = registered.register(registry, 0)
    promote(registry, ref=champion, criteria=LENIENT, asked=Asked(who="test@here", serving=HERE))
    return Two(registry, champion, registered.register(registry, 1))


def test_one_flipped_byte_in_any_file_of_either_is_refused(two: Two) -> None:
    for ref in (two.challenger, two.champion):
        keys = [*model_keys(two.registry, ref.run_id), *run_keys(two.registry, ref.run_id, "golden.json", "passerelle/manifest.json")]
        assert len(keys) >= 8
        for key in keys:
            with changed_object(two.registry, key, flipped), pytest.raises(IntegrityError):
                two.judge()
    two.judge()


def test_a_decoy_in_the_place_of_the_registered_model_is_not_judged(two: Two) -> None:
    decoy, _ = two.registry.objects.read(next(key for key in model_keys(two.registry, two.champion.run_id) if key.endswith("model.skops")))
    key = next(key for key in model_keys(two.registry, two.challenger.run_id) if key.endswith("model.skops"))
    with (
        changed_object(two.registry, key, lambda _: decoy),
        pytest.raises(IntegrityError, match=r"version 2.*model\.skops is not the one that was registered"),
    ):
        two.judge()
    with changed_object(two.registry, key, lambda _: None), pytest.raises(IntegrityError, match=r"model\.skops is missing"):
        two.judge()


def test_a_champion_from_before_there_were_digests_is_judged_as_it_is(registered: RegisteredForTests) -> None:
    registry = registered.fresh()
    run_id = registered.run_ids[0]
    old = registry.create_version(registry.settings.registered_model, run_id, registry.model_uri(run_id), {})
    registry.set_alias(old, registry.settings.alias)
    Two(registry, old, registered.register(registry, 1)).judge()
