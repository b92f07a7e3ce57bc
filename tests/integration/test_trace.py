"""From a prediction, an image, a bento, a version or a run back to the training, with what is missing named."""

from __future__ import annotations

import pytest

from passerelle.errors import NotFoundError
from passerelle.registry.criteria import Criteria
from passerelle.registry.promote import Asked, promote
from passerelle.registry.trace import find_version, links_of
from tests.platform_fixtures import HERE, RegisteredForTests

pytestmark = pytest.mark.integration
LENIENT = Criteria.model_validate({"champion": {"must_be_better": False, "not_worse_by": 1.0}})


def test_everything_leads_to_its_version(registered: RegisteredForTests) -> None:
    registry = registered.fresh()
    first, second = registered.register(registry, 0), registered.register(registry, 1)
    for asked, kind in (
        ("2", "model version"),
        (second.run_id, "run"),
        (second.run_id[:8] + "0" * 24, "prediction"),
        (str(second.bento_model_tag), "bento tag"),
        (f"passerelle/{second.bento_model_tag}", "image"),
        (f"registry.example:5000/team/passerelle/{second.bento_model_tag}", "image"),
    ):
        found, version = find_version(registry, asked)
        assert (found, version.ref.version) == (kind, 2), asked
    assert find_version(registry, first.run_id)[1].ref.version == 1
    for asked in ("9", "0" * 32, "name:1-00000000", "nothing"):
        with pytest.raises(NotFoundError):
            find_version(registry, asked)


def test_the_chain_leads_to_the_data_and_to_who_promoted(registered: RegisteredForTests) -> None:
    registry = registered.fresh()
    ref = registered.register(registry, 0)
    _, version = find_version(registry, "1")
    before = {link.name: link for link in links_of(registry, version)}
    assert before["ledger entry"].value is None
    assert "never put into production" in before["ledger entry"].note
    promote(registry, ref=ref, criteria=LENIENT, asked=Asked(who="marie@bureau", serving=HERE, reason="la première"))
    chain = {link.name: link for link in links_of(registry, find_version(registry, "1")[1])}
    assert chain["run"].value == ref.run_id
    for digest in ("artifact digest", "data digest", "criteria"):
        assert (chain[digest].value or "").startswith("sha256:")
    assert chain["ledger entry"].value == "1"
    assert "marie@bureau" in chain["ledger entry"].note
    assert "la première" in chain["ledger entry"].note
    assert list(chain) == ["model version", "artifact digest", "run", "data digest", "git commit", "seed", "criteria", "ledger entry"]
