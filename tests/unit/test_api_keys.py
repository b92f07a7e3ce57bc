"""API keys: shown once, stored as hashes, revocable, with expiry."""

from __future__ import annotations

import hmac
import json
import stat
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from passerelle.api_keys import KeyRing, make_key, read_keys, revoke_key
from passerelle.errors import NotFoundError, SettingsError, UsageError


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def test_a_new_key_opens_and_its_secret_is_stored_nowhere(key_file: Path) -> None:
    made = make_key(key_file, "page des agents")
    assert KeyRing(read_keys(key_file)).owner(made.token) == made.key
    assert made.token.rpartition("_")[2] not in key_file.read_text()
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600


def test_several_keys_hold_at_a_time_and_one_can_be_revoked(key_file: Path) -> None:
    first, second = make_key(key_file, "first"), make_key(key_file, "second")
    revoke_key(key_file, "first")
    ring = KeyRing(read_keys(key_file))
    assert ring.owner(first.token) is None
    assert ring.owner(second.token) == second.key
    assert [key.state(datetime.now(UTC)) for key in read_keys(key_file)] == ["revoked", "active"]


def test_an_expired_key_opens_no_more(key_file: Path) -> None:
    made = make_key(key_file, "short", days=2)
    ring = KeyRing(read_keys(key_file))
    now = datetime.now(UTC)
    assert ring.owner(made.token, now=now + timedelta(days=1)) == made.key
    assert ring.owner(made.token, now=now + timedelta(days=3)) is None


@pytest.mark.parametrize("token", ["", "psl_", "psl_000000000000_" + "a" * 43, "é", "\ud800", "a" * 10_000])
def test_what_is_no_key_opens_nothing(key_file: Path, token: str) -> None:
    make_key(key_file, "one")
    assert KeyRing(read_keys(key_file)).owner(token) is None


def test_whatever_is_given_as_a_key_one_hash_is_compared_in_constant_time(key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m loadtests.key_timing` measures it."""
    token = make_key(key_file, "agents").token
    ring, compared = KeyRing(read_keys(key_file)), []
    compare = hmac.compare_digest

    def seen(given: str, expected: str) -> bool:
        compared.append((len(given), len(expected)))
        return compare(given, expected)

    monkeypatch.setattr(hmac, "compare_digest", seen)
    given = (token, token[:-1] + "!", token[:-1], "psl_000000000000_" + token[17:], token[:17] + "A" * 43, "", "é", "a" * 10_000)
    assert [ring.owner(each) is not None for each in given] == [True] + [False] * 7
    assert compared == [(64, 64)] * len(given)


def test_a_token_with_another_ones_secret_opens_nothing(key_file: Path) -> None:
    first, second = make_key(key_file, "first"), make_key(key_file, "second")
    mixed = f"psl_{first.key.key_id}_{second.token[-43:]}"
    assert KeyRing(read_keys(key_file)).owner(mixed) is None


def test_a_name_is_taken_while_its_key_is_active(key_file: Path) -> None:
    make_key(key_file, "one")
    with pytest.raises(UsageError, match="called 'one' already"):
        make_key(key_file, "one")
    revoke_key(key_file, "one")
    make_key(key_file, "one")


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 65])
def test_a_name_must_be_readable(key_file: Path, name: str) -> None:
    with pytest.raises(UsageError):
        make_key(key_file, name)


def test_revoking_nobodys_key_says_so(key_file: Path) -> None:
    with pytest.raises(NotFoundError, match="'none'"):
        revoke_key(key_file, "none")


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps({"keys": [{"name": "half"}]})])
def test_a_broken_key_file_is_refused(key_file: Path, text: str) -> None:
    key_file.write_text(text)
    key_file.chmod(0o600)
    with pytest.raises(SettingsError, match="not a list of keys"):
        read_keys(key_file)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("expires", "tomorrow"),
        ("expires", "2030-01-31"),
        ("expires", 20300131),
        ("revoked", True),
        ("created", None),
        ("secret_hash", "abc"),
        ("secret_hash", ["0" * 64]),
        ("key_id", "0"),
        ("name", "two\nlines"),
        ("name", {"of": {"another": "type"}}),
        ("rights", "classify"),
        ("rights", ["everything"]),
        ("rights", [["classify"]]),
    ],
)
def test_an_entry_that_is_no_key_is_named_with_its_field(key_file: Path, field: str, value: object) -> None:
    make_key(key_file, "first")
    make_key(key_file, "second")
    content = json.loads(key_file.read_text())
    content["keys"][1][field] = value
    key_file.write_text(json.dumps(content))
    with pytest.raises(SettingsError, match=f"entry 2: its {field} is "):
        read_keys(key_file)


def test_two_entries_with_one_id_are_refused_since_one_would_bring_back_what_the_other_revoked(key_file: Path) -> None:
    make_key(key_file, "first")
    content = json.loads(key_file.read_text())
    key_file.write_text(json.dumps({"keys": content["keys"] * 2}))
    with pytest.raises(SettingsError, match="entry 2: it has the key_id of entry 1"):
        read_keys(key_file)


def test_a_field_that_no_key_has_is_named(key_file: Path) -> None:
    make_key(key_file, "first")
    content = json.loads(key_file.read_text())
    content["keys"][0]["expired"] = None
    key_file.write_text(json.dumps(content))
    with pytest.raises(SettingsError, match="entry 1: it has a field that no key has: 'expired'"):
        read_keys(key_file)


def test_a_key_file_that_everybody_reads_is_refused() -> None:
    # Outside of pytest's own folder, which nobody else may enter.
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)
        key_file = folder / "keys.json"
        make_key(key_file, "site")
        key_file.chmod(0o644)
        with pytest.raises(SettingsError, match="read by everybody"):
            read_keys(key_file)
        folder.chmod(0o700)
        assert len(read_keys(key_file)) == 1, "nobody else may enter the folder"


def test_a_new_key_leaves_the_files_mode(key_file: Path) -> None:
    make_key(key_file, "site")
    key_file.chmod(0o444)
    make_key(key_file, "batch")
    assert key_file.stat().st_mode & 0o777 == 0o444


def test_a_key_has_the_rights_that_it_was_made_with_and_else_may_classify(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    make_key(path, "portal")
    make_key(path, "agents", rights=("feedback",))
    make_key(path, "both", rights=("feedback", "classify"))
    assert {key.name: key.rights for key in read_keys(path)} == {
        "portal": ("classify",),
        "agents": ("feedback",),
        "both": ("classify", "feedback"),
    }
    # A service of an earlier release reads a file without new rights.
    assert "rights" not in json.loads(path.read_text())["keys"][0]
