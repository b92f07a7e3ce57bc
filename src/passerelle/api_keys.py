"""API keys: made once, stored as hashes, several at a time, with names and expiry."""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from passerelle.errors import NotFoundError, SettingsError, UsageError, shell_word
from passerelle.regular_file import read_json_file

#: ``psl_<id>_<secret>``: the prefix lets secret scanners find a key that leaked.
_TOKEN = re.compile(r"psl_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
#: What a key may do. Metrics and the model card are for every key.
CLASSIFY_RIGHT, FEEDBACK_RIGHT = RIGHTS = ("classify", "feedback")
#: Of a key that was made without naming any.
DEFAULT_RIGHTS: Final = (CLASSIFY_RIGHT,)
_NAME = re.compile(r"[\w .@-]{1,64}")
_KEY_ID = re.compile(r"[0-9a-f]{12}")
_SECRET_HASH = re.compile(r"[0-9a-f]{64}")
_MOMENT = "no date and time with a time zone, as 2030-01-31T12:00:00+00:00"
_MUST_BE = {
    "key_id": "missing, or not 12 hexadecimal digits",
    "name": "missing, or not 1 to 64 letters, digits, spaces or . @ - _",
    "secret_hash": "missing, or not 64 hexadecimal digits",
    "created": _MOMENT,
    "expires": _MOMENT,
    "revoked": _MOMENT,
    "rights": f"no list of {', '.join(RIGHTS)}",
}
_NOBODY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True)
class ApiKey:
    """What is kept of a key; the secret itself is shown once, when it is made, and never stored.

    Attributes:
        key_id: Twelve hexadecimal characters, part of the token.
        name: Who uses it.
        secret_hash: SHA-256 of the secret, in hexadecimal. The secret has 256 random bits, so a slow hash would add nothing.
        created: ISO 8601, UTC.
        expires: ISO 8601, UTC, or None for never.
        revoked: When it was revoked, or None.
        rights: Some of `RIGHTS`.
    """

    key_id: str
    name: str
    secret_hash: str
    created: str
    expires: str | None = None
    revoked: str | None = None
    rights: tuple[str, ...] = DEFAULT_RIGHTS

    def state(self, now: datetime) -> str:
        """Return ``active``, ``expired`` or ``revoked``."""
        if self.revoked is not None:
            return "revoked"
        if self.expires is not None and datetime.fromisoformat(self.expires) <= now:
            return "expired"
        return "active"


@dataclass(frozen=True)
class NewKey:
    """A key that was just made, with the token that its owner must keep."""

    key: ApiKey
    token: str


class KeyRing:
    """The keys of a service, held in memory for constant-time look-ups."""

    def __init__(self, keys: Sequence[ApiKey] = ()) -> None:
        self._by_id = {key.key_id: key for key in keys}

    def __len__(self) -> int:
        return len(self._by_id)

    def owner(self, token: str, *, now: datetime | None = None) -> ApiKey | None:
        """Return the active key that this token is, or None.

        The hash is computed and compared in constant time whether the id is known or not.
        """
        match = _TOKEN.fullmatch(token)
        key = self._by_id.get(match[1]) if match else None
        secret = match[2] if match else token
        expected = key.secret_hash if key is not None else _NOBODY
        same = hmac.compare_digest(hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest(), expected)
        if not same or key is None or key.state(now or datetime.now(UTC)) != "active":
            return None
        return key


def read_keys(path: Path) -> tuple[ApiKey, ...]:
    """Return the keys of the file; none where there is no file.

    Raises:
        SettingsError: The file is not a list of keys, or others may read it; names the entry that is wrong.
    """
    if not os.path.lexists(path):
        return ()
    if path.exists() and others_may_read(path):
        raise SettingsError(f"the key file {path} can be read by everybody", hint=f"chmod 600 {shell_word(path)}")
    try:
        return _keys_of(read_json_file(path))
    except OSError as error:
        raise SettingsError(f"the key file {path} cannot be read: {error.strerror}", hint=f"ls -l {shell_word(path)}") from error
    except ValueError as error:
        why = f"not JSON in UTF-8 ({error})" if isinstance(error, json.JSONDecodeError | UnicodeDecodeError) else str(error)
        message = f"the key file {path} is not a list of keys: {why}"
        raise SettingsError(
            message, hint=f"cat {shell_word(path)}\nmv {shell_word(path)} {shell_word(path)}.broken; passerelle keys make NAME"
        ) from None


def _keys_of(content: object) -> tuple[ApiKey, ...]:
    """Return the keys; raises ValueError that names the first entry that is none, and never quotes a value."""
    entries = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise ValueError('it holds no list under "keys"')  # noqa: TRY004 - of a value in a file
    found: dict[str, int] = {}
    for place, entry in enumerate(entries, start=1):
        wrong = _fault_of(entry)
        if wrong is None and (earlier := found.setdefault(entry["key_id"], place)) != place:
            wrong = f"it has the key_id of entry {earlier}"
        if wrong is not None:
            raise ValueError(f"entry {place}: {wrong}")
    return tuple(_key_of(entry) for entry in entries)


def _fault_of(entry: object) -> str | None:
    """Return what is wrong with an entry of the file; None for a key."""
    if not isinstance(entry, dict):
        return "it is not a JSON object"
    unknown = sorted(set(map(str, entry)) - {each.name for each in fields(ApiKey)})
    if unknown:
        return f"it has a field that no key has: {unknown[0][:40]!r}"
    texts = {"key_id": _KEY_ID, "name": _NAME, "secret_hash": _SECRET_HASH}
    wrong = [name for name, form in texts.items() if not (isinstance(value := entry.get(name), str) and form.fullmatch(value))]
    wrong += [name for name in ("created", "expires", "revoked") if not _is_moment(entry.get(name), optional=name != "created")]
    rights = entry.get("rights", list(DEFAULT_RIGHTS))
    wrong += [] if isinstance(rights, list) and all(right in RIGHTS for right in rights) else ["rights"]
    return f"its {wrong[0]} is {_MUST_BE[wrong[0]]}" if wrong else None


def _is_moment(value: object, *, optional: bool) -> bool:
    if value is None:
        return optional
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _key_of(entry: dict[str, Any]) -> ApiKey:
    return ApiKey(**{**entry, "rights": tuple(entry.get("rights", DEFAULT_RIGHTS))})


def _entry_of(key: ApiKey) -> dict[str, Any]:
    """Return a key as the file holds it; without the default rights, so that a service of an earlier release reads the file too."""
    entry = asdict(key)
    if key.rights == DEFAULT_RIGHTS:
        del entry["rights"]
    return entry


def others_may_read(path: Path) -> bool:
    """Return whether every user of this machine can read the file.

    A folder that others cannot enter keeps what is in it, whatever its mode: that is how files are kept which containers with
    users of their own read. What is mounted read-only is in such a container, where there are no others.
    """
    resolved = path.resolve()
    if not resolved.stat().st_mode & stat.S_IROTH or os.statvfs(resolved).f_flag & os.ST_RDONLY:
        return False
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in resolved.parents)


def make_key(path: Path, name: str, *, days: int | None = None, rights: Sequence[str] = DEFAULT_RIGHTS) -> NewKey:
    """Add a key to the file and return it with its token.

    Args:
        days: Until it expires; None for never.
        rights: Some of `RIGHTS`.

    Raises:
        UsageError: The name is empty, too long, or taken by an active key.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path):
        keys = check_name(path, name)
        now = datetime.now(UTC)
        secret = secrets.token_urlsafe(32)
        key = ApiKey(
            key_id=secrets.token_hex(6),
            name=name,
            secret_hash=hashlib.sha256(secret.encode()).hexdigest(),
            created=now.isoformat(timespec="seconds"),
            expires=(now + timedelta(days=days)).isoformat(timespec="seconds") if days is not None else None,
            rights=tuple(right for right in RIGHTS if right in rights),
        )
        _write(path, (*keys, key))
    return NewKey(key, f"psl_{key.key_id}_{secret}")


def check_name(path: Path, name: str) -> tuple[ApiKey, ...]:
    """Return the keys of the file once a new one may have this name.

    Raises:
        UsageError: The name is empty, too long, or taken by an active key.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"'{name}' cannot name a key: 1 to 64 letters, digits, spaces or . @ - _", hint="passerelle keys make NAME")
    keys = read_keys(path)
    now = datetime.now(UTC)
    if any(key.name == name and key.state(now) == "active" for key in keys):
        raise UsageError(f"an active key is called '{name}' already", hint=f"passerelle keys revoke {shell_word(name)}")
    return keys


def active_key(path: Path, name_or_id: str) -> ApiKey:
    """Return the active key with this name or id.

    Raises:
        NotFoundError: There is none.
    """
    now = datetime.now(UTC)
    for key in read_keys(path):
        if name_or_id in (key.name, key.key_id) and key.state(now) == "active":
            return key
    raise NotFoundError(f"no active key is called '{name_or_id}'", hint="passerelle keys list")


def revoke_key(path: Path, name_or_id: str) -> ApiKey:
    """Mark the active key with this name or id as revoked and return it.

    Raises:
        NotFoundError: No active key has this name or id.
    """
    active_key(path, name_or_id)
    with _alone(path):
        key = active_key(path, name_or_id)
        revoked = replace(key, revoked=datetime.now(UTC).isoformat(timespec="seconds"))
        _write(path, [revoked if each.key_id == key.key_id else each for each in read_keys(path)])
    return revoked


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Lock the file for a change, since of two concurrent changes the first would be lost.

    The folder is locked: each change replaces the file, and the folder may be mounted into a container, where a lock file would be visible.
    """
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _write(path: Path, keys: Sequence[ApiKey]) -> None:
    """Replace the file in one step, readable by those who could read it before; a new one by its owner alone."""
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o600
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump({"keys": [_entry_of(key) for key in keys]}, file, ensure_ascii=False, indent=1)
        file.write("\n")
    Path(temporary).chmod(mode)
    Path(temporary).replace(path)
