"""The secrets of the compose stack: files, made on first use, that nobody else on the machine can read."""

from __future__ import annotations

import secrets
from contextlib import suppress
from pathlib import Path

from passerelle.errors import NotFoundError, SettingsError
from passerelle.serving.keys import make_key, others_may_read, revoke_key

NAMES = (
    "minio_root_password",
    "postgres_password",
    "mlflow_admin_password",
    "mlflow_flask_key",
    "grafana_admin_password",
    "s3_mlflow",
    "s3_workbench",
    "s3_service",
    "s3_backup",
)
#: Token of the key by which this machine's `deploy` and `monitor` ask the service.
API_KEY = "api_key"
KEYS_FILE = Path("service") / "keys.json"
_KEY_NAME = "passerelle deploy"
_INIT = "passerelle deploy --target compose --init"


def make_secrets(folder: Path) -> tuple[str, ...]:
    """Make the secrets that are missing, keep those that are there, and return the names of the new ones.

    The files can be read by all, as the containers' users are others than this one; the folder around them is its owner's alone.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    made = []
    for name in NAMES:
        if not (folder / name).exists():
            _write(folder / name, secrets.token_urlsafe(30))
            made.append(name)
    keys = folder / KEYS_FILE
    if not keys.exists() or not (folder / API_KEY).exists():
        keys.parent.mkdir(exist_ok=True)
        keys.parent.chmod(0o755)
        if not keys.exists():
            _write(keys, '{"keys": []}\n')
        with suppress(NotFoundError):
            revoke_key(keys, _KEY_NAME)
        _write(folder / API_KEY, make_key(keys, _KEY_NAME).token)
        made.append(API_KEY)
    return tuple(made)


def check_secrets(folder: Path) -> None:
    """Return when every secret is there, is not empty, and is nobody else's to read.

    Raises:
        NotFoundError: One is missing.
        SettingsError: One is empty, or others may read it.
    """
    for name in (*NAMES, API_KEY, str(KEYS_FILE)):
        path = folder / name
        if not path.is_file():
            raise NotFoundError(f"the secret {path} is missing", hint=_INIT)
        if not path.read_text(encoding="utf-8").strip():
            raise SettingsError(f"the secret {path} is empty", hint=f"restore it, or: rm {path}; {_INIT}")
        if others_may_read(path):
            raise SettingsError(f"the secret {path} can be read by everybody on this machine", hint=f"chmod 700 {folder}")


def read_secret(folder: Path, name: str) -> str:
    """Return a secret.

    Raises:
        NotFoundError: It is missing.
    """
    try:
        return (folder / name).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise NotFoundError(f"the secret {folder / name} cannot be read: {error.strerror}", hint=_INIT) from error


def _write(path: Path, content: str) -> None:
    path.write_text(content, encoding="utf-8")
    path.chmod(0o444)
