"""What the service believes of the ledger's entry in its bento model, by the way in which somebody put it there."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from passerelle.errors import IntegrityError, PasserelleError, RefusedError
from passerelle.model.ledger_entry import UNDONE, Entry
from passerelle.model.promotion_proof import MOST_ENTRIES, check_promoted, keep_proof, lines_of, refuse_unpromoted
from passerelle.names import LEDGER_FILE, LINEAGE_FILE
from passerelle.registry.entry_signature import signed
from passerelle.registry.ledger import BEGINNING
from passerelle.settings import SigningSettings
from tests.signing_fixtures import Keys, make_keys
from tests.unit.registry.ledger_forgeries import entry_of
from tests.unit.registry.memory import NAME, ref

FIRST = entry_of(1, number=1, before=BEGINNING)
SECOND = entry_of(2, number=2, before=FIRST.digest)


@pytest.fixture
def bento_model(tmp_path: Path) -> Path:
    """The folder of version 1, without anything that says that it was promoted."""
    folder = tmp_path / "1-11111111"
    folder.mkdir()
    lineage = {"registered_model": NAME, "version": "1", "run_id": ref(1).run_id, "artifact_digest": "sha256:1"}
    (folder / LINEAGE_FILE).write_text(json.dumps(lineage))
    return folder


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("keys"), "operator")


def keyed(keys: Keys) -> SigningSettings:
    return SigningSettings.read(signing_key=keys.private, verify_key=keys.public)


def chained(*entries: Entry) -> bytes:
    """Return the lines of these entries, each chained to the one before."""
    lines: list[Entry] = []
    for entry in entries:
        lines.append(replace(entry, before=lines[-1].digest, number=len(lines) + 1) if lines else entry)
    return b"".join(each.line() for each in lines)


WAYS: dict[str, tuple[bytes | None, str]] = {
    "imported without a promotion": (None, "holds no entry of the ledger"),
    "promoted": (FIRST.line(), ""),
    "the entry of another version": (SECOND.line(), "is not about comments version 1 with these files"),
    "the entry of a model that was made anew": (replace(FIRST, run_id="f" * 32).line(), "is not about comments version 1"),
    "the entry of other files": (replace(FIRST, artifact_digest="sha256:9").line(), "is not about comments version 1 with these files"),
    "the entry of another registered model": (replace(FIRST, registered_model="other").line(), "is not about comments version 1"),
    "a candidate, which is not promoted": (replace(FIRST, what="candidate").line(), "did not put comments version 1 into production"),
    "a promotion that was undone": (chained(FIRST, replace(SECOND, what=UNDONE)), "did not put comments version 1 into production"),
    "entries that are not chained": (FIRST.line() + replace(SECOND, before="sha256:0").line(), "cannot be read"),
    "junk": (b"{}\n", "cannot be read"),
    "nothing": (b"", "cannot be read"),
    "spaces in the line": (FIRST.line().replace(b":", b": ", 1), "cannot be read"),
    "more entries than a proof has": (FIRST.line() * (MOST_ENTRIES + 1), "cannot be read"),
}


@pytest.mark.parametrize("way", WAYS)
def test_without_a_key_the_entry_must_be_there_and_about_this_version(way: str, bento_model: Path) -> None:
    content, problem = WAYS[way]
    if content is not None:
        (bento_model / LEDGER_FILE).write_bytes(content)
    told = refusal(lambda: check_promoted(bento_model, SigningSettings.read(verify="off")))
    print(f"{way}: {told or 'served'}")  # noqa: T201 - the table of the ways, for `pytest -rP`
    assert (problem in told) if problem else told == ""


def test_with_a_key_the_entry_must_be_signed_with_it(bento_model: Path, keys: Keys, tmp_path: Path) -> None:
    other, trusted = keyed(make_keys(tmp_path, "other")), keyed(keys)
    ours, theirs = signed(FIRST, trusted, last=None), signed(FIRST, other, last=None)
    later = signed(replace(SECOND, before=FIRST.digest), trusted, last=FIRST)
    of_former_key = signed(replace(SECOND, before=theirs.digest), trusted, last=theirs)
    expected = {
        FIRST.line(): "is not signed",
        theirs.line(): "is not by a key of",
        replace(ours, who="mallory@here").line(): "is not for these files",
        ours.line(): "",
        FIRST.line() + later.line(): "",
        theirs.line() + of_former_key.line(): "",
        theirs.line() + later.line(): "cannot be read",
    }
    for lines, problem in expected.items():
        (bento_model / LEDGER_FILE).write_bytes(lines)
        told = refusal(lambda: check_promoted(bento_model, trusted))
        assert (problem in told) if problem else told == "", lines
    assert lines_of([theirs, of_former_key], trusted) == theirs.line() + of_former_key.line()
    assert lines_of([ours, of_former_key], trusted) == ours.line()
    with pytest.raises(IntegrityError, match="is not by a key of"):
        lines_of([theirs], trusted)
    assert lines_of([FIRST, SECOND], None) == FIRST.line()


def test_only_production_asks_for_it(bento_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_unpromoted(bento_model)
    monkeypatch.setenv("PASSERELLE_ENVIRONMENT", "production")
    with pytest.raises(RefusedError) as told:
        refuse_unpromoted(bento_model)
    assert told.value.hint == "passerelle promote --version 1; passerelle import --version 1; passerelle build"


def test_a_good_proof_stays_and_another_is_replaced(bento_model: Path) -> None:
    again = replace(FIRST, number=5, what="rollback").line()
    assert keep_proof(bento_model, FIRST.line(), None)
    assert not keep_proof(bento_model, again, None)
    assert (bento_model / LEDGER_FILE).read_bytes() == FIRST.line()
    (bento_model / LEDGER_FILE).write_bytes(SECOND.line())
    assert keep_proof(bento_model, again, None)
    assert sorted(path.name for path in bento_model.iterdir()) == [LEDGER_FILE, LINEAGE_FILE]
    check_promoted(bento_model, None)


def refusal(check: Callable[[], object]) -> str:
    """Return what the check says against it; nothing where it says nothing."""
    try:
        check()
    except PasserelleError as error:
        return error.message
    return ""
