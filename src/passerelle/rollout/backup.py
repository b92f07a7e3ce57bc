"""All that the stack cannot make again in one file: the database, the artifacts and the ledger, of one moment."""

from __future__ import annotations

import hashlib
import tarfile
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO
from urllib.parse import unquote

from passerelle.errors import IntegrityError, OutsideError, UsageError, shell_word
from passerelle.registry.ledger import LOCK_NAME, MOST_HEAD_BYTES, hold_object
from passerelle.registry.lock import promotion_locks
from passerelle.registry.objects import Objects
from passerelle.rollout.backed_up_ledger import LEDGER, broken_ledgers, is_locked
from passerelle.rollout.backup_archive import DATABASE, OBJECTS, checked_manifest, digest_of, member_of, write_archive
from passerelle.rollout.backup_database import Database
from passerelle.rollout.backup_encryption import archive_file, parsed_recipients, plain_archive
from passerelle.rollout.backup_origin import Origin, recorded_origin, refuse_newer_format, refuse_newer_servers
from passerelle.rollout.scratch_stack import scratch_stack
from passerelle.rollout.stack import Stack
from passerelle.rollout.swap import MLFLOW_ROLE, PSQL, mark, marks, swap

#: The folders of the bucket that belong to the stack; the user that restores may write to these alone.
_OURS = ("mlflow/", LEDGER)
_COUNT = "SELECT (SELECT count(*) FROM runs) + (SELECT count(*) FROM registered_models)"


@dataclass(frozen=True)
class BackupReport:
    """What a backup holds.

    Attributes:
        created: ISO 8601, UTC: the moment of the database.
        digest: SHA-256 of the manifest, which holds the digest of all else.
        left_out: Objects of the bucket, or of an older backup, that are neither MLflow's nor the ledger's.
        broken_ledgers: What is wrong with the ledgers in it, which are backed up and restored as they are.
    """

    path: Path
    created: str
    objects: int
    size_bytes: int
    digest: str
    seconds: float
    left_out: int = 0
    broken_ledgers: tuple[str, ...] = ()


def backup(
    database: Database,
    path: Path,
    *,
    objects: Objects,
    locks: Objects,
    who: str,
    recipients: Sequence[str] = (),
    progress: Callable[[str], None],
) -> BackupReport:
    """Write database, artifacts and ledger to one file; it appears when it is whole.

    No promotion happens between the database and the ledger: their locks are held. Artifacts, written once, are read after that.

    Args:
        objects: The bucket as the backup's user sees it.
        locks: The bucket as a user sees it who may take the locks.
        recipients: Public keys of age for which the file is encrypted; without any, it is not.

    Raises:
        UsageError: There is such a file already, or a recipient is no public key.
        BusyError: A promotion is under way, or took the lock over meanwhile.
        OutsideError: PostgreSQL or S3 does not answer.
    """
    _check_target(path, recipients)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as temporary:
        half = Path(temporary) / path.name
        with tempfile.TemporaryFile(dir=temporary) as dump:
            taken = _taken(database, dump, objects=objects, locks=locks, who=who, progress=progress)
            with archive_file(half, recipients) as file, tarfile.open(fileobj=file, mode="w|") as archive:
                moment = {"created": taken.created, "origin": database.origin().described()}
                manifest = write_archive(archive, moment, dump, objects, keys=taken.keys, ledger=taken.ledger)
        half.chmod(0o600)
        half.rename(path)
    digest, seconds = "sha256:" + hashlib.sha256(manifest).hexdigest(), time.monotonic() - began
    return BackupReport(
        path, taken.created, len(taken.keys), path.stat().st_size, digest, seconds, len(taken.left_out), broken_ledgers(taken.ledger)
    )


def _check_target(path: Path, recipients: Sequence[str]) -> None:
    """Check what can be checked before anything is read, and make the folder."""
    if path.exists():
        raise UsageError(f"{path} is there already", hint=f"mv {shell_word(path)} {shell_word(path)}.old")
    parsed_recipients(recipients)
    path.parent.mkdir(parents=True, exist_ok=True)


@dataclass(frozen=True)
class _Taken:
    """What was taken while no promotion could happen."""

    created: str
    keys: Sequence[str]
    left_out: Sequence[str]
    ledger: Mapping[str, bytes]


def _taken(database: Database, dump: IO[bytes], *, objects: Objects, locks: Objects, who: str, progress: Callable[[str], None]) -> _Taken:
    models = {unquote(key.split("/")[1]) for key in objects.keys(LEDGER)}
    with promotion_locks(locks, models, who, "a backup") as check_locks:
        created = datetime.now(UTC).isoformat(timespec="seconds")
        progress("the database")
        database.dump(dump)
        keys, left_out = _listed(objects)
        ledger = {key: objects.read(key, most_bytes=MOST_HEAD_BYTES)[0] for key in keys if key.startswith(LEDGER)}
        check_locks()
    progress(f"{len(keys)} objects")
    if left_out:
        progress(f"left out: {len(left_out)} objects that are neither MLflow's nor the ledger's, such as {left_out[0]}")
    return _Taken(created, keys, left_out, ledger)


def _listed(objects: Objects) -> tuple[Sequence[str], Sequence[str]]:
    """Return the names of the objects that a backup holds, and of those that it leaves out; a lock is neither."""
    keys = [key for key in objects.keys("") if not (key.startswith(LEDGER) and key.endswith(f"/{LOCK_NAME}"))]
    return [key for key in keys if key.startswith(_OURS)], [key for key in keys if not key.startswith(_OURS)]


def restore(
    stack: Stack,
    path: Path,
    *,
    objects: Callable[[Stack], Objects],
    identity: Path | None = None,
    verify: bool = False,
    dry_run: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> BackupReport:
    """Put a backup into an empty stack, read every object back, and only then let MLflow use the database.

    The whole file is checked before anything is started or changed. A restore that was interrupted goes on when it is called again.

    Args:
        objects: Returns the bucket of the stack that it is given.
        identity: File with the private key of a backup that is encrypted.
        verify: Whether it is restored into a scratch stack, which is removed afterwards, and the stack is left alone.

    Raises:
        IntegrityError: The file is not what the backup wrote, or an object does not read back as it was written.
        UsageError: The stack is not empty; a ledger that holds other entries than the backup counts, too. Or the backup was made with a
            newer passerelle, MLflow or PostgreSQL.
        OutsideError: PostgreSQL or S3 does not answer, or the scratch stack does not start.
    """
    progress("checking the backup")
    with plain_archive(path, identity) as plain:
        began = time.monotonic()
        whole = _whole(path, plain)
        if not (verify and dry_run):
            with scratch_stack(stack, progress=progress) if verify else nullcontext(stack) as target:
                began = time.monotonic()
                _restored(target, whole, objects=objects(target), dry_run=dry_run, progress=progress)
        seconds, broken = time.monotonic() - began, broken_ledgers(_ledgers(plain, whole.digests))
    counts = len(whole.digests), path.stat().st_size, whole.digest, seconds, whole.left_out
    return BackupReport(path, whole.created, *counts, broken_ledgers=broken)


@dataclass(frozen=True)
class _Whole:
    """A backup in which every file has its digest.

    Attributes:
        given: The file of the backup.
        path: Of the plain archive; the same where it is not encrypted.
        digest: Of the manifest.
        digests: Of the objects that are restored, by their keys.
        left_out: How many others it holds.
    """

    given: Path
    path: Path
    created: str
    origin: Origin
    digest: str
    digests: Mapping[str, str]
    left_out: int


def _whole(given: Path, path: Path) -> _Whole:
    manifest, content = checked_manifest(path)
    origin = recorded_origin(manifest)
    refuse_newer_format(origin)
    digests = {name.removeprefix(OBJECTS): each for name, each in manifest["digests"].items() if name.startswith(OBJECTS)}
    ours = {key: each for key, each in digests.items() if key.startswith(_OURS)}
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    return _Whole(given, path, str(manifest["created"]), origin, digest, ours, len(digests) - len(ours))


def _restored(stack: Stack, backup: _Whole, *, objects: Objects, dry_run: bool, progress: Callable[[str], None]) -> None:
    refuse_newer_servers(stack, backup.origin)
    # A restore of this very backup was interrupted when all of it was in its place already.
    in_place = marks(stack).get("mlflow") == backup.digest
    if not in_place:
        _check_empty(stack, objects, backup.digests)
    if not dry_run:
        if not in_place:
            _brought_back(stack, backup, objects=objects, progress=progress)
        swap(stack, backup.digest)


def _ledgers(path: Path, digests: Mapping[str, str]) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        return {key: member_of(archive, OBJECTS + key).read() for key in digests if key.startswith(LEDGER)}


def _brought_back(stack: Stack, backup: _Whole, *, objects: Objects, progress: Callable[[str], None]) -> None:
    """Restore the database beside the one in use and the objects, and mark the database once all of them read back."""
    with tarfile.open(backup.path) as archive:
        progress("the database")
        _restore_database(stack, member_of(archive, DATABASE))
        progress(f"{len(backup.digests)} objects")
        for key in backup.digests:
            objects.upload(key, member_of(archive, OBJECTS + key))
    progress("reading them back")
    for key, expected in backup.digests.items():
        if digest_of(objects.stream(key)[0]) != expected:
            raise IntegrityError(
                f"the object {key} does not read back as it was written", hint=f"passerelle restore {shell_word(backup.given)}"
            )
        if is_locked(key):
            # As when it was written first; a bucket without object lock takes it as it is.
            hold_object(objects, key)
    mark(stack, "restoring", backup.digest)


def _check_empty(stack: Stack, objects: Objects, digests: Mapping[str, str]) -> None:
    present = _listed(objects)[0]
    # A restore that was interrupted left objects of this backup, and no others.
    foreign = [
        key for key in present if key not in digests or (key.startswith(LEDGER) and digest_of(objects.stream(key)[0]) != digests[key])
    ]
    counted = stack.compose(*PSQL, "--dbname", "mlflow", "--command", _COUNT)
    if counted.returncode != 0 and "does not exist" not in counted.stderr:
        raise OutsideError(f"PostgreSQL does not answer: {counted.stderr.strip()}", hint=f"{stack.command} logs postgres")
    if foreign or counted.stdout.strip() not in ("", "0"):
        what = f"{len(foreign)} other objects, such as {foreign[0]}" if foreign else f"{counted.stdout.strip()} runs and models"
        raise UsageError(
            f"the stack is not empty: it holds {what}; restore into a new one, or delete all that this one holds",
            hint=f"export COMPOSE_PROJECT_NAME=NAME\n{stack.command} down --volumes",
        )


def _restore_database(stack: Stack, dump: IO[bytes]) -> None:
    """Restore beside the database that is in use."""
    own = f"CREATE DATABASE restoring OWNER {MLFLOW_ROLE}"
    for statement in ("DROP DATABASE IF EXISTS restoring WITH (FORCE)", own, "REVOKE CONNECT ON DATABASE restoring FROM PUBLIC"):
        stack.must(*PSQL, "--command", statement, of="making a database to restore into")
    whose = ("--no-owner", "--no-privileges", "--role", MLFLOW_ROLE)
    command = ("exec", "-T", "postgres", "pg_restore", "--username", "mlflow", *whose, "--exit-on-error", "--dbname", "restoring")
    with tempfile.TemporaryFile() as file:
        while chunk := dump.read(1 << 20):
            file.write(chunk)
        file.seek(0)
        stack.pipe(*command, source=file)
