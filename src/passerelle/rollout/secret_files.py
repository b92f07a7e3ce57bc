"""The secrets of the compose stack: files, made on first use, that no other user of the machine can read."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from passerelle.api_keys import make_key, others_may_read, revoke_key
from passerelle.errors import NotFoundError, SettingsError, shell_word
from passerelle.regular_file import read_regular_file

NAMES = (
    "minio_root_password",
    "postgres_password",
    "postgres_mlflow",
    "mlflow_admin_password",
    "mlflow_flask_key",
    "mlflow_webhook_key",
    "mlflow_webhook_secret",
    "mlflow_follower",
    "mlflow_prober",
    "grafana_admin_password",
    "s3_mlflow",
    "s3_workbench",
    "s3_prober",
    "s3_backup",
    "s3_collector",
    "s3_pruner",
    "log_digest_key",
    "postgres_airflow",
    "airflow_admin_password",
    "airflow_key",
)
#: Made by each deployment where they are missing: they came later than the others, and a stack that was set up before has none.
_LATER = ("mlflow_prober", "s3_prober", "s3_pruner", "log_digest_key", "postgres_airflow", "airflow_admin_password", "airflow_key")
#: The API key that `deploy` and `monitor` on this machine send to the service.
API_KEY = "api_key"
#: Volumes that were initialised with these secrets.
VOLUMES = {"postgres_password": "postgres", "minio_root_password": "minio"}
#: Names the file that holds the key of another S3.
OTHER_S3 = "S3_SECRET_FILE"
KEYS_FILE = Path("service") / "keys.json"
_KEY_NAME = "passerelle deploy"
_INIT = "passerelle deploy --target compose --init"


def make_secrets(folder: Path, *, volume_of: Callable[[str], str | None] = lambda _: None) -> tuple[str, ...]:
    """Make the secrets that are missing, keep those that are there, and return the names of the new ones.

    The files can be read by all users, as those of the containers differ from this one; only the owner can enter their folder.

    Args:
        volume_of: Names the volume that was made with a secret, where there is one: it cannot be opened with another.

    Raises:
        NotFoundError: One is missing whose volume is there.
        SettingsError: This user may not read or write them.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        missing = [name for name in NAMES if not (folder / name).exists()]
        for name in missing:
            _refuse_bound(folder / name, "is missing", volume_of)
        for name in missing:
            _write(folder / name, _new_secret(name))
        return (*missing, *_made_key(folder))
    except PermissionError as error:
        raise _unreadable(folder, error) from error


def make_later_secrets(folder: Path) -> tuple[str, ...]:
    """Make the secrets that a stack which was set up by an older version lacks, and return their names.

    Raises:
        SettingsError: This user may not write them.
    """
    try:
        missing = tuple(name for name in _LATER if not (folder / name).exists())
        for name in missing:
            _write(folder / name, _new_secret(name))
    except PermissionError as error:
        raise _unreadable(folder, error) from error
    return missing


def _new_secret(name: str) -> str:
    """Return a new secret; for the key that MLflow encrypts with, in the form that Fernet takes."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode() if name == "mlflow_webhook_key" else secrets.token_urlsafe(30)


def _made_key(folder: Path) -> tuple[str, ...]:
    keys = folder / KEYS_FILE
    if keys.exists() and (folder / API_KEY).exists():
        return ()
    keys.parent.mkdir(exist_ok=True)
    keys.parent.chmod(0o755)
    if not keys.exists():
        _write(keys, '{"keys": []}\n')
    with suppress(NotFoundError):
        revoke_key(keys, _KEY_NAME)
    _write(folder / API_KEY, make_key(keys, _KEY_NAME).token)
    return (API_KEY,)


def check_secrets(folder: Path, *also: Path, volume_of: Callable[[str], str | None] = lambda _: None) -> None:
    """Check that every secret exists, is not empty, and cannot be read by other users; one that `make_later_secrets` makes may be missing.

    Args:
        also: Secrets in other places, which passerelle does not make.
        volume_of: Names the volume that was made with a secret, where there is one.

    Raises:
        NotFoundError: One is missing.
        SettingsError: One is empty, or others may read it, or this user may not.
    """
    for path in (*(folder / name for name in (*NAMES, API_KEY, str(KEYS_FILE))), *also):
        try:
            if path.name not in _LATER or path.exists():
                _check(path, ours=path not in also, volume_of=volume_of)
        except PermissionError as error:
            raise _unreadable(path, error) from error
        except OSError as error:
            raise SettingsError(f"the secret {path} cannot be read: {error.strerror}", hint=f"ls -l {shell_word(path)}") from error


def _check(path: Path, *, ours: bool, volume_of: Callable[[str], str | None]) -> None:
    wrong = "is missing" if not path.is_file() else "" if read_regular_file(path).strip() else "is empty"
    if wrong and ours:
        _refuse_bound(path, wrong, volume_of)
    if wrong == "is missing":
        raise NotFoundError(
            f"the secret {path} is missing" + ("" if ours else f"; {OTHER_S3} names the file"), hint=_INIT if ours else None
        )
    if wrong:
        raise SettingsError(f"the secret {path} is empty", hint=f"rm {shell_word(path)}; {_INIT}" if ours else None)
    if others_may_read(path):
        hint = f"chmod 700 {shell_word(path.parent)}" if ours else f"chmod o-r {shell_word(path)}"
        raise SettingsError(f"the secret {path} can be read by everybody on this machine", hint=hint)


def _refuse_bound(path: Path, wrong: str, volume_of: Callable[[str], str | None]) -> None:
    volume = volume_of(path.name) if path.name in VOLUMES else None
    if volume is not None:
        raise NotFoundError(
            f"the secret {path} {wrong}, and the volume {volume} opens with no other: write it back from your copy of the secrets, "
            "or delete all that the stack holds",
            hint="docker compose -f deploy/compose.yaml down --volumes",
        )


def _unreadable(path: Path, error: PermissionError) -> SettingsError:
    where = error.filename or path
    return SettingsError(f"the secret {where} is not this user's to read or write", hint=f'sudo chown -R "$USER" {shell_word(path.parent)}')


def read_secret(folder: Path, name: str) -> str:
    """Return a secret.

    Raises:
        NotFoundError: It is missing.
        SettingsError: This user may not read it, or it is no text.
    """
    try:
        return read_regular_file(folder / name).decode().strip()
    except UnicodeDecodeError:
        raise SettingsError(f"the secret {folder / name} is not UTF-8", hint=f"ls -l {shell_word(folder / name)}") from None
    except PermissionError as error:
        raise _unreadable(folder / name, error) from error
    except OSError as error:
        raise NotFoundError(f"the secret {folder / name} cannot be read: {error.strerror}", hint=_INIT) from error


def _write(path: Path, content: str) -> None:
    path.write_text(content, encoding="utf-8")
    path.chmod(0o444)
