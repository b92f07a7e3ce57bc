"""Start the MLflow server of the stack: secrets from files, both schemas brought up to date once, then the server."""

import configparser
import gc
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg2
from secret import say, secret, stop

if TYPE_CHECKING:
    from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore

TMP = Path("/tmp")  # noqa: S108 - a tmpfs of this container alone
#: With one, the server is this process; more are processes of their own.
WORKERS = os.environ.get("MLFLOW_WORKERS", "1")
WAIT_S = float(os.environ.get("POSTGRES_WAIT_S", "60"))
#: Of the advisory lock that one server at a time holds while it looks after the schemas; any number will do, as long as it stays the same.
LOCK = 0x6D6C666C6F77
HOST, PORT = os.environ.get("POSTGRES_HOST", "postgres"), os.environ.get("POSTGRES_PORT", "5432")
USER, DATABASE = os.environ.get("POSTGRES_USER", "mlflow"), os.environ.get("POSTGRES_DB", "mlflow")
#: The account by which the service reads the registry; accounts.py lets it do nothing else.
FOLLOWER = "follower"
#: The account by which the prober verifies the ledgers.
PROBER = "prober"
#: Without the password, which libpq reads from its file: a URI is seen in logs and in the list of processes.
URI = f"postgresql+psycopg2://{USER}@{HOST}:{PORT}/{DATABASE}"


def written(name: str, content: str) -> str:
    """Return the path of a file that only this user can read."""
    path = TMP / name
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(content)
    return str(path)


def connected() -> "psycopg2.extensions.connection":
    """Return a connection to PostgreSQL once it answers."""
    deadline, said = time.monotonic() + WAIT_S, ""
    while True:
        try:
            return psycopg2.connect(host=HOST, port=PORT, user=USER, dbname=DATABASE, connect_timeout=5)
        except psycopg2.OperationalError as error:
            reason = (str(error).strip().splitlines() or ["it does not answer"])[0]
            if "authentication failed" in str(error):
                stop(
                    f"PostgreSQL refuses the password of {USER}. Where it is a server's own, the setup job sets it anew; "
                    "where it is the superuser's, the one that the volume was made with counts: restore that secret"
                )
            if reason != said:
                say(f"waiting for PostgreSQL at {HOST}:{PORT}: {reason}")
                said = reason
            if time.monotonic() > deadline:
                stop(f"PostgreSQL at {HOST}:{PORT} did not answer within {WAIT_S:.0f} s: {reason}")
            time.sleep(1)


@contextmanager
def alone() -> "Iterator[psycopg2.extensions.cursor]":
    """Yield a cursor while no other server that starts works on the schemas."""
    connection = connected()
    try:
        # Each question by itself: what is asked within one transaction would hold locks against the migration.
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
            yield cursor
    finally:
        connection.close()


def migrate(cursor: "psycopg2.extensions.cursor") -> None:
    """Make the schema of runs and models in an empty database, or bring an older one up to date; a newer one is refused."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - slow to import: the secrets are looked at first
    from mlflow.store.db.utils import _get_alembic_config  # noqa: PLC0415

    script = ScriptDirectory.from_config(_get_alembic_config(URI))
    head, found = script.get_current_head(), None
    cursor.execute("SELECT to_regclass('alembic_version')")
    if cursor.fetchone() != (None,):
        cursor.execute("SELECT version_num FROM alembic_version")
        found = (cursor.fetchone() or ("none",))[0]
    if found == head:
        return
    if found is not None and found not in {revision.revision for revision in script.walk_revisions()}:
        stop(f"the schema of {DATABASE} ({found}) is newer than this MLflow knows: start the MLflow image that it was made with")
    say(f"bringing the schema of {DATABASE} from {found or 'nothing'} to {head}")
    done = subprocess.run([sys.executable, "-m", "mlflow", "db", "upgrade", URI], check=False)
    if done.returncode != 0:
        stop("the schema was not brought up to date; the database is as it was. What went wrong is above")


def authentication() -> str:
    """Return the configuration of MLflow's accounts, with the administrator's password as the secret has it now."""
    name, password = os.environ.get("MLFLOW_ADMIN_USER", "admin"), secret("MLFLOW_ADMIN_PASSWORD")
    config = configparser.ConfigParser(interpolation=None)
    config["mlflow"] = {
        "default_permission": os.environ.get("MLFLOW_DEFAULT_PERMISSION", "READ"),
        "database_uri": URI,
        "admin_username": name,
        "admin_password": password,
        # Another function than MLflow's own hides "log out" and "change password" on its pages: only where it is needed.
        "authorization_function": "accounts:authenticate" if followed() else "mlflow.server.auth:authenticate_request_basic_auth",
        # A password is checked by a slow hash; without this, at every request.
        "auth_cache_ttl_seconds": "30",
    }
    path = TMP / "accounts.ini"
    written(path.name, "")
    with path.open("w") as file:
        config.write(file)
    return str(path)


def followed() -> bool:
    """Return whether the service may follow the registry."""
    return bool(os.environ.get("MLFLOW_FOLLOWER_FILE"))


def keep_accounts() -> None:
    """Bring the schema of the accounts up to date, and give them the passwords of the secrets: that is how one is changed.

    The service's account is there as long as the service may follow the registry.
    """
    # MLflow's server looks for a Host that is not allowed only where uvicorn was loaded before it: this process answers requests later.
    import uvicorn  # noqa: F401, PLC0415 - slow to import: the secrets are looked at first
    from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore  # noqa: PLC0415

    store = SqlAlchemyStore()
    store.init_db(URI)
    name, password = os.environ.get("MLFLOW_ADMIN_USER", "admin"), secret("MLFLOW_ADMIN_PASSWORD")
    if not store.has_user(name):
        store.create_user(name, password, is_admin=True)
    elif not store.authenticate_user(name, password):
        store.update_user(name, password=password, is_admin=True)
        say(f"{name} has the password of the secret now")
    if os.environ.get("MLFLOW_PROBER_FILE"):
        keep_reader(store, PROBER, secret("MLFLOW_PROBER"))
    if followed():
        keep_reader(store, FOLLOWER, secret("MLFLOW_FOLLOWER"))
    elif store.has_user(FOLLOWER):
        store.delete_user(FOLLOWER)
        say(f"the account {FOLLOWER} is deleted: the service does not follow the registry")


def keep_reader(store: "SqlAlchemyStore", name: str, password: str) -> None:
    """Let an account that is no administrator have this password, and make it where it is missing."""
    if not store.has_user(name):
        store.create_user(name, password, is_admin=False)
        say(f"the account {name} reads the registry")
    elif not store.authenticate_user(name, password) or store.get_user(name).is_admin:
        store.update_user(name, password=password, is_admin=False)
        say(f"{name} has the password of the secret now")


def webhooks() -> dict[str, str]:
    """Return MLflow's variables for webhooks: the key of their secrets, and where the service takes them, that they may call it.

    In the stack all addresses are private, and within it the service speaks plain HTTP.
    """
    variables = {"MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": secret("MLFLOW_WEBHOOK_KEY")}
    if followed() and os.environ.get("PASSERELLE_FOLLOW_WEBHOOK", "").lower() in ("on", "true", "yes", "1"):
        variables |= {"MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https", "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true"}
    return variables


def main() -> None:
    """Prepare what the MLflow server needs, and run it."""
    # Nothing that is made while modules load is garbage; looking for some takes a second.
    gc.disable()
    key_id, bucket = os.environ.get("S3_ACCESS_KEY_ID", "mlflow"), os.environ.get("S3_BUCKET", "passerelle")
    os.environ["PGPASSFILE"] = written("pgpass", f"{HOST}:{PORT}:{DATABASE}:{USER}:{secret('POSTGRES_PASSWORD')}\n")
    os.environ["AWS_SHARED_CREDENTIALS_FILE"] = written(
        "aws", f"[default]\naws_access_key_id = {key_id}\naws_secret_access_key = {secret('S3_SECRET')}\n"
    )
    os.environ["MLFLOW_FLASK_SERVER_SECRET_KEY"] = secret("MLFLOW_FLASK_KEY")
    os.environ["MLFLOW_AUTH_CONFIG_PATH"] = authentication()
    os.environ |= webhooks()
    hosts = os.environ.get("MLFLOW_ALLOWED_HOSTS", "mlflow:*,localhost:*,127.0.0.1:*")
    # The server reads it where it is loaded, which is before its command line.
    os.environ["MLFLOW_SERVER_ALLOWED_HOSTS"] = hosts
    # For accounts.py, beside this file.
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    with alone() as cursor:
        migrate(cursor)
        keep_accounts()
    arguments = [
        "server", "--host", "0.0.0.0", "--port", "5000", "--app-name", "basic-auth",  # noqa: S104 - in the container
        "--workers", WORKERS, "--backend-store-uri", URI, "--no-serve-artifacts",
        "--default-artifact-root", f"s3://{bucket}/mlflow", "--allowed-hosts", hosts,
    ]  # fmt: skip
    serve(arguments)


def serve(arguments: "list[str]") -> None:
    """Run MLflow's command line here, and with one worker that worker too.

    What `keep_accounts` has loaded would be loaded a second time in a new process: seconds of processor time, while this one would hold
    250 MiB to wait for it. Several workers are processes that uvicorn starts.
    """
    from mlflow import server  # noqa: PLC0415 - slow to import: the schemas are looked at first
    from mlflow.cli import cli  # noqa: PLC0415 - as the line before

    if WORKERS == "1":
        server._exec_cmd = answer  # type: ignore[assignment,attr-defined] # MLflow names what it gives
    cli.main(arguments, prog_name="mlflow")


def answer(command: "Sequence[str]", extra_env: "dict[str, str]", **_: object) -> None:
    """Answer requests until a signal ends it, in this process instead of the one that MLflow would start by this command."""
    import uvicorn  # noqa: PLC0415 - as the others

    os.environ |= extra_env
    gc.freeze()
    gc.enable()
    uvicorn.main(list(command[command.index("uvicorn") + 1 :]))


if __name__ == "__main__":
    main()
