"""A backup that cannot be true is not made: its lock was lost, or S3 broke off; one that holds too much restores what it may."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any, cast

import pytest
from botocore.exceptions import ReadTimeoutError
from urllib3.exceptions import ProtocolError

from passerelle.errors import BusyError, IntegrityError, NotFoundError, OutsideError, UsageError
from passerelle.model.ledger_entry import Entry
from passerelle.names import BUNDLE, ledger_artifact
from passerelle.registry.ledger import BEGINNING, LedgerHead, now
from passerelle.registry.objects import Objects
from passerelle.rollout import backup as module
from passerelle.rollout import backup_origin
from passerelle.rollout.backup import BackupReport, backup, restore
from passerelle.rollout.backup_database import StackDatabase
from passerelle.rollout.backup_encryption import make_identity
from passerelle.rollout.backup_origin import FORMAT, Origin
from passerelle.rollout.stack import Stack

MADE_WITH = Origin(FORMAT, "1.2.3", 17, "of-before")


class Bucket:
    """A bucket in memory."""

    def __init__(self, **held: bytes) -> None:
        self.held = dict(held)
        self.locked: list[str] = []

    def hold(self, key: str, _: object) -> bool:
        self.locked.append(key)
        return True

    def keys(self, prefix: str) -> tuple[str, ...]:
        return tuple(sorted(key for key in self.held if key.startswith(prefix)))

    def read(self, key: str, *, most_bytes: int) -> tuple[bytes, str]:
        assert len(self.held[key]) <= most_bytes
        return self.held[key], ""

    def stream(self, key: str) -> tuple[Any, int]:
        return io.BytesIO(self.held[key]), len(self.held[key])

    def upload(self, key: str, content: IO[bytes]) -> None:
        self.held[key] = content.read()


class Broken(Bucket):
    """One that breaks off in the middle of an object."""

    def __init__(self, error: Exception, **held: bytes) -> None:
        super().__init__(**held)
        self.error = error

    def stream(self, key: str) -> tuple[Any, int]:
        return type("Stream", (), {"read": self.fail})(), len(self.held[key])

    def fail(self, _size: int) -> bytes:
        raise self.error


def lock(held: Callable[[], object]) -> Callable[..., Any]:
    @contextmanager
    def locked(*_: object) -> Iterator[Callable[[], object]]:
        yield held

    return locked


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    def pipe(*_: object, source: IO[bytes] | None = None, target: IO[bytes] | None = None) -> None:
        if target is not None:
            target.write(b"dump")

    monkeypatch.setattr(Stack, "pipe", pipe)
    monkeypatch.setattr(StackDatabase, "origin", lambda _: MADE_WITH)
    monkeypatch.setattr(backup_origin, "_postgres", lambda _: 17)
    monkeypatch.setattr(backup_origin, "_schema", lambda _: "of-now")
    monkeypatch.setattr(backup_origin, "_known", lambda _, revision: revision == "of-before")
    monkeypatch.setattr(module, "promotion_locks", lock(lambda: None))
    return Bucket(**{"mlflow/a": b"a", "ledger/m/000001.jsonl": b"{}", "ledger/m/lock.json": b"{}", "other/x": b"x"})


def made(bucket: Bucket, path: Path, *recipients: str) -> BackupReport:
    objects = cast("Objects", bucket)
    return backup(
        StackDatabase(Stack(path.parent)), path, objects=objects, locks=objects, who="test", recipients=recipients, progress=lambda _: None
    )


def test_what_is_neither_mlflows_nor_the_ledgers_is_left_out_and_counted(bucket: Bucket, tmp_path: Path) -> None:
    report = made(bucket, tmp_path / "a.tar")
    assert (report.objects, report.left_out) == (2, 1)


def test_a_lock_that_was_lost_makes_no_backup(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost() -> None:
        raise BusyError("somebody took the lock over")

    monkeypatch.setattr(module, "promotion_locks", lock(lost))
    with pytest.raises(BusyError):
        made(bucket, tmp_path / "a.tar")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [ProtocolError("reset"), ReadTimeoutError(endpoint_url="http://s3")])
def test_s3_that_breaks_off_in_the_middle(bucket: Bucket, tmp_path: Path, error: Exception) -> None:
    with pytest.raises(OutsideError, match="S3 broke off in the middle"):
        made(Broken(error, **bucket.held), tmp_path / "a.tar")
    assert list(tmp_path.iterdir()) == []


def test_an_older_backup_of_the_whole_bucket_restores_what_is_ours(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as older:
        older.setattr(module, "_OURS", ("",))
        assert made(bucket, tmp_path / "a.tar").objects == 3
    for name in ("marks", "swap", "mark", "_check_empty", "_restore_database"):
        monkeypatch.setattr(module, name, lambda *_: {})
    empty = Bucket()
    report = restore(Stack(tmp_path), tmp_path / "a.tar", objects=lambda _: cast("Objects", empty))
    assert set(empty.held) == {"mlflow/a", "ledger/m/000001.jsonl"}
    assert (report.objects, report.left_out) == (2, 1)


def test_what_a_service_follows_is_in_the_backup_to_the_byte(tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    followed = {f"mlflow/1/{'a' * 32}/artifacts/{path}": path.encode() for path in (BUNDLE, ledger_artifact(1))}
    bucket.held |= followed
    made(bucket, tmp_path / "a.tar")
    for name in ("marks", "swap", "mark", "_check_empty", "_restore_database"):
        monkeypatch.setattr(module, name, lambda *_: {})
    empty = Bucket()
    restore(Stack(tmp_path), tmp_path / "a.tar", objects=lambda _: cast("Objects", empty))
    assert {key: content for key, content in empty.held.items() if key in followed} == followed


def test_a_broken_ledger_is_said_and_a_whole_one_is_not(bucket: Bucket, tmp_path: Path) -> None:
    assert made(bucket, tmp_path / "a.tar").broken_ledgers == (
        "the ledger of 'm' is broken at entry 1: its object ledger/m/000001.jsonl does not hold an entry",
    )
    entry = Entry(1, BEGINNING, now(), "marie@here", "promote", "d'été", None, 1, "r", "sha256:1")
    head = LedgerHead(1, entry.digest, entry.line().decode()).content()
    folder = "ledger/d%27%C3%A9t%C3%A9"
    whole = {f"{folder}/000001.jsonl": entry.line(), f"{folder}/head.json": head, f"{folder}/criteria/a.json": b"{}"}
    assert made(Bucket(**whole), tmp_path / "b.tar").broken_ledgers == ()
    whole[f"{folder}/head.json"] = head.replace(b'"number": 1', b'"number": 2')
    assert "is missing: the head names entry 2" in made(Bucket(**whole), tmp_path / "c.tar").broken_ledgers[0]


def test_a_restore_writes_over_no_other_ledger(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(bucket, tmp_path / "a.tar")
    for name in ("marks", "swap", "mark", "_restore_database"):
        monkeypatch.setattr(module, name, lambda *_: {})
    monkeypatch.setattr(Stack, "compose", lambda *_: SimpleNamespace(returncode=0, stdout="0"))
    forged = Bucket(**{"ledger/m/000001.jsonl": b"forged"})
    with pytest.raises(UsageError, match=r"other objects, such as ledger/m/000001\.jsonl"):
        restore(Stack(tmp_path), tmp_path / "a.tar", objects=lambda _: cast("Objects", forged))
    assert forged.held == {"ledger/m/000001.jsonl": b"forged"}
    interrupted = Bucket(**{"ledger/m/000001.jsonl": b"{}", "mlflow/a": b"a"})
    restore(Stack(tmp_path), tmp_path / "a.tar", objects=lambda _: cast("Objects", interrupted))
    assert set(interrupted.held) == {"mlflow/a", "ledger/m/000001.jsonl"}
    assert interrupted.locked == ["ledger/m/000001.jsonl"], "an entry, as when it was written first"


@pytest.mark.parametrize(
    ("origin", "words"),
    [
        (Origin(FORMAT + 1, "9.0", 17, "of-now"), "written by a newer passerelle (9.0)"),
        (Origin(FORMAT, "1.2.3", 18, "of-now"), "the backup is of PostgreSQL 18, and the stack runs 17"),
        (Origin(FORMAT, "1.2.3", 17, "of-later"), "MLflow's schema of-later, which is newer"),
    ],
)
def test_a_backup_of_something_newer_is_refused_by_name_before_anything_is_touched(
    origin: Origin, words: str, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StackDatabase, "origin", lambda _: origin)
    made(bucket, tmp_path / "a.tar")
    for name in ("marks", "swap", "mark", "_check_empty", "_restore_database"):
        monkeypatch.setattr(module, name, lambda *_: pytest.fail("something was touched"))
    empty = Bucket()
    with pytest.raises(UsageError) as found:
        restore(Stack(tmp_path), tmp_path / "a.tar", objects=lambda _: cast("Objects", empty))
    assert words in found.value.message
    assert found.value.message.endswith("nothing was changed")
    assert empty.held == {}


def test_a_backup_of_the_postgresql_and_the_schema_before_is_restored(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StackDatabase, "origin", lambda _: Origin(FORMAT, "0.0.1", 16, "of-before"))
    made(bucket, tmp_path / "a.tar")
    dumps: list[object] = []
    monkeypatch.setattr(module, "_restore_database", lambda *given: dumps.append(given))
    for name in ("marks", "swap", "mark", "_check_empty"):
        monkeypatch.setattr(module, name, lambda *_: {})
    empty = Bucket()
    restore(Stack(tmp_path), tmp_path / "a.tar", objects=lambda _: cast("Objects", empty))
    assert empty.held["mlflow/a"] == bucket.held["mlflow/a"]
    assert len(dumps) == 1


def test_an_encrypted_backup_is_restored_with_its_key_alone(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("marks", "swap", "mark", "_check_empty", "_restore_database"):
        monkeypatch.setattr(module, name, lambda *_: {})
    key, other, archive = tmp_path / "backup.key", tmp_path / "other.key", tmp_path / "a.tar.age"
    bucket.held["mlflow/a"] = b"a citizen wrote this" * 10_000
    made(bucket, archive, make_identity(key))
    make_identity(other)
    assert key.stat().st_mode & 0o077 == 0
    assert archive.read_bytes().startswith(b"age-encryption.org/v1")
    assert b"a citizen wrote this" not in archive.read_bytes()
    empty = Bucket()
    restored = restore(Stack(tmp_path), archive, objects=lambda _: cast("Objects", empty), identity=key)
    assert empty.held["mlflow/a"] == bucket.held["mlflow/a"]
    assert (restored.path, restored.size_bytes) == (archive, archive.stat().st_size)

    nothing = Bucket()
    with pytest.raises(UsageError, match="is encrypted; name the file of its private key"):
        restore(Stack(tmp_path), archive, objects=lambda _: cast("Objects", nothing))
    with pytest.raises(IntegrityError, match="cannot be decrypted with the key in"):
        restore(Stack(tmp_path), archive, objects=lambda _: cast("Objects", nothing), identity=other)
    archive.write_bytes(archive.read_bytes()[:-100])
    with pytest.raises(IntegrityError, match="cannot be decrypted"):
        restore(Stack(tmp_path), archive, objects=lambda _: cast("Objects", nothing), identity=key)
    assert nothing.held == {}
    assert {path.name for path in tmp_path.iterdir()} == {"a.tar.age", "backup.key", "other.key"}, "nothing decrypted is left"


def test_a_drill_checks_the_whole_file_before_it_starts_anything(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, started = tmp_path / "a.tar", list[str]()
    made(bucket, archive)

    def scratch(stack: Stack, **_: object) -> AbstractContextManager[Stack]:
        started.append("stack")
        return nullcontext(stack)

    monkeypatch.setattr(module, "scratch_stack", scratch)
    for name in ("marks", "swap", "mark", "_check_empty", "_restore_database"):
        monkeypatch.setattr(module, name, lambda *_: {})
    stack, empty = Stack(tmp_path), Bucket()
    whole = restore(stack, archive, objects=lambda _: cast("Objects", empty), verify=True, dry_run=True)
    assert (whole.objects, started, empty.held) == (2, [], {}), "neither a stack is started nor that which runs asked whether it is empty"
    restore(stack, archive, objects=lambda _: cast("Objects", empty), verify=True)
    assert started == ["stack"]
    archive.write_bytes(archive.read_bytes().replace(b"{}", b"[]", 1))
    with pytest.raises(IntegrityError, match="is not what was backed up"):
        restore(stack, archive, objects=lambda _: cast("Objects", empty), verify=True)
    archive.write_bytes(b"no archive at all")
    with pytest.raises(IntegrityError) as refused:
        restore(stack, archive, objects=lambda _: cast("Objects", empty), verify=True)
    assert str(refused.value) == f"{archive} is not a backup, or not a whole one: file could not be opened successfully"
    assert started == ["stack"]


def test_what_is_no_public_key_is_refused_and_a_private_one_is_not_repeated(bucket: Bucket, tmp_path: Path) -> None:
    make_identity(tmp_path / "backup.key")
    secret = (tmp_path / "backup.key").read_text().splitlines()[1]
    for recipient, words in ((secret, "a private key is no public key"), ("age1wrong", "'age1wrong' is no public key")):
        with pytest.raises(UsageError) as found:
            made(bucket, tmp_path / "a.tar.age", recipient)
        assert words in found.value.message
        assert secret not in found.value.message
    with pytest.raises(UsageError, match="is there already, and backups may need it"):
        make_identity(tmp_path / "backup.key")
    assert not (tmp_path / "a.tar.age").exists()


def test_an_object_that_prune_removed_meanwhile_ends_the_backup(bucket: Bucket, tmp_path: Path) -> None:
    class Pruned(Bucket):
        def stream(self, key: str) -> tuple[Any, int]:
            raise NotFoundError(f"{key} does not exist")

    with pytest.raises(BusyError, match="mlflow/a was removed while it was to be backed up"):
        made(Pruned(**bucket.held), tmp_path / "a.tar")
    assert list(tmp_path.iterdir()) == []
