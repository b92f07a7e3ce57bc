"""What stands in the place of a file that is read while a service or a command runs: no reader waits, fills the memory or breaks."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import pytest

from passerelle.api_keys import read_keys
from passerelle.criteria_file import read_criteria
from passerelle.errors import PasserelleError
from passerelle.model.adoption import ADOPTION_FILE, read_adoption
from passerelle.model.golden import read_golden
from passerelle.model.lineage import read_lineage
from passerelle.model.manifest import check_manifest, read_manifest
from passerelle.model.mlmodel import describe
from passerelle.model.promotion_proof import check_promoted
from passerelle.model.verify import check_stored_signature
from passerelle.monitoring.drift.last_result import read_last
from passerelle.names import GOLDEN, LEDGER_FILE, LINEAGE_FILE, MANIFEST_FILE, SIGNATURE_FILE
from passerelle.rollout.secret_files import check_secrets, read_secret
from passerelle.rollout.stack import Stack
from passerelle.serving.following.published import Board, FollowState
from passerelle.settings import SigningSettings
from tests.unit.test_regular_file import a_folder, a_pipe, deep, no_text

LINEAGE = '{"registered_model": "m", "version": "1", "run_id": "0123456789", "artifact_digest": "sha256:0"}'


def endless(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2 << 30)


def another_type(path: Path) -> None:
    path.write_text('[{"keys": 1}, null]')


def a_link_to_nothing(path: Path) -> None:
    path.symlink_to("nothing")


def a_loop(path: Path) -> None:
    path.symlink_to(path.name)


KINDS = (a_pipe, a_folder, endless, no_text, deep, another_type, a_link_to_nothing, a_loop)


def proof(folder: Path) -> object:
    (folder / LINEAGE_FILE).write_text(LINEAGE)
    return check_promoted(folder, None)


def signature(folder: Path) -> object:
    folder.joinpath("key.pem").write_text("no key")
    settings = SigningSettings.read(verify_key=folder / "key.pem", verify="required")
    return check_stored_signature(folder, {}, settings, run_id="r")


def golden_of_manifest(folder: Path) -> None:
    (folder / "model").mkdir()
    check_manifest(folder / "model", folder / GOLDEN, {"files": {}})


#: The file's name, and what reads it and must name what is wrong.
REFUSED: dict[str, tuple[str, Callable[[Path], object]]] = {
    "the keys": ("keys.json", lambda folder: read_keys(folder / "keys.json")),
    "the criteria": ("criteria.yaml", lambda folder: read_criteria(folder / "criteria.yaml")),
    "a manifest": (MANIFEST_FILE, lambda folder: check_manifest(folder, folder / GOLDEN, read_manifest(folder))),
    "a lineage": (LINEAGE_FILE, read_lineage),
    "golden predictions": (GOLDEN, lambda folder: read_golden(folder / GOLDEN)),
    "the digest of golden predictions": (GOLDEN, golden_of_manifest),
    "a model's description": ("MLmodel", describe),
    "an adoption": (ADOPTION_FILE, read_adoption),
    "a proof of a promotion": (LEDGER_FILE, proof),
    "a signature": (SIGNATURE_FILE, signature),
    "a key to verify with": (
        "key.pub",
        lambda folder: check_stored_signature(folder, {}, SigningSettings.read(verify_key=folder), run_id="r"),
    ),
    "a secret of the stack": ("secret", lambda folder: read_secret(folder, "secret")),
    "the stack's variables": (".env", lambda folder: Stack(folder).values()),
    "another S3's secret": ("other", lambda folder: check_secrets(folder / "own", folder / "other")),
}
#: Of a text, any is one to these readers; to compute a digest takes no memory, whatever the size.
_ANYTHING = {
    ("a secret of the stack", deep),
    ("a secret of the stack", another_type),
    ("the stack's variables", deep),
    ("the stack's variables", another_type),
    ("the digest of golden predictions", endless),
}


@contextmanager
def soon() -> Iterator[None]:
    def late(*_: object) -> None:
        raise AssertionError("it waits")

    former = signal.signal(signal.SIGALRM, late)
    signal.alarm(20)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, former)


@pytest.mark.parametrize(("what", "make"), [each for each in product(REFUSED, KINDS) if each not in _ANYTHING])
def test_it_is_refused_by_a_sentence(tmp_path: Path, what: str, make: Callable[[Path], None]) -> None:
    name, read = REFUSED[what]
    make(tmp_path / name)
    with soon(), pytest.raises(PasserelleError):
        read(tmp_path)


@pytest.mark.parametrize("make", KINDS)
def test_it_is_done_without(tmp_path: Path, make: Callable[[Path], None]) -> None:
    with soon():
        make(tmp_path / "drift-m.json")
        assert read_last(tmp_path) is None
        board = Board(tmp_path)
        for name in ("state.json", "current.json", "attempt.json"):
            make(tmp_path / name)
        assert board.state() == FollowState()
        assert board.published() is None
