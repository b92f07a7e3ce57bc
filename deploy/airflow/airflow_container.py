"""Start one of Airflow's processes in the stack: secrets from files, then `airflow` in the place of this process.

`setup` makes Airflow's database instead, with its schema and the pool of promotions; `healthy PART` checks a part by the API.
"""

import base64
import hashlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psycopg2
from psycopg2 import sql
from secret import say, secret, stop

AIRFLOW = "/opt/airflow/bin/airflow"
TMP = Path("/tmp")  # noqa: S108 - a tmpfs of this container alone
ROLE = DATABASE = "airflow"
USER = "admin"
HOST, PORT = os.environ.get("POSTGRES_HOST", "postgres"), os.environ.get("POSTGRES_PORT", "5432")
WAIT_S = 60.0


def written(name: str, content: str) -> str:
    """Return the path of a file that only this user can read."""
    path = TMP / name
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(content)
    return str(path)


def key(purpose: str, digest: str = "sha256") -> str:
    """Return a key for one purpose, the same in each of Airflow's processes; one of SHA-256 has the form that Fernet takes."""
    return base64.urlsafe_b64encode(hashlib.new(digest, f"{purpose}:{secret('AIRFLOW_KEY')}".encode()).digest()).decode()


def set_environment() -> None:
    """Set what Airflow and its tasks read from the environment and compose.yaml cannot hold."""
    # libpq and asyncpg read the password from its file: a URI is seen in logs and in the list of processes.
    os.environ["PGPASSFILE"] = written("pgpass", f"*:*:*:{ROLE}:{secret('POSTGRES_AIRFLOW')}\n")
    os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"postgresql+psycopg2://{ROLE}@{HOST}:{PORT}/{DATABASE}"
    os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC"] = f"postgresql+asyncpg://{ROLE}@{HOST}:{PORT}/{DATABASE}"
    os.environ["AIRFLOW__CORE__FERNET_KEY"] = key("fernet")
    os.environ["AIRFLOW__API__SECRET_KEY"] = key("session")
    # Tokens are signed by HS512, whose key is to have 64 bytes at least.
    os.environ["AIRFLOW__API_AUTH__JWT_SECRET"] = key("token", "sha512")
    for name, variable in (("MLFLOW_ADMIN_PASSWORD", "MLFLOW_TRACKING_PASSWORD"), ("S3_SECRET", "AWS_SECRET_ACCESS_KEY")):
        if f"{name}_FILE" in os.environ:
            os.environ[variable] = secret(name)
    if "AIRFLOW_ADMIN_PASSWORD_FILE" in os.environ:
        passwords = json.dumps({USER: secret("AIRFLOW_ADMIN_PASSWORD")})
        os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"] = f"{USER}:admin"
        os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"] = written("passwords.json", passwords)


def connected() -> "psycopg2.extensions.connection":
    """Return a connection of the superuser to PostgreSQL, once it answers."""
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            return psycopg2.connect(
                host=HOST, port=PORT, user="mlflow", dbname="mlflow", password=secret("POSTGRES_PASSWORD"), connect_timeout=5
            )
        except psycopg2.OperationalError as error:
            reason = (str(error).strip().splitlines() or ["it does not answer"])[0]
            if "authentication failed" in reason or time.monotonic() > deadline:
                stop(f"Airflow's database cannot be made at {HOST}:{PORT}: {reason}")
            time.sleep(1)


def make_database() -> None:
    """Make the role and its database in PostgreSQL. Can be run again."""
    connection = connected()
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (ROLE,))
        if cursor.fetchone() is None:
            cursor.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(ROLE)))
        limits = "ALTER ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD %s"
        cursor.execute(sql.SQL(limits).format(sql.Identifier(ROLE)), (secret("POSTGRES_AIRFLOW"),))
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,))
        if cursor.fetchone() is None:
            cursor.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), sql.Identifier(ROLE)))
        cursor.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(sql.Identifier(DATABASE)))
    connection.close()
    say(f"role and database {ROLE} of PostgreSQL")


def airflow(*arguments: str) -> None:
    """Run a command of Airflow, and end with a sentence where it fails."""
    if subprocess.run([AIRFLOW, *arguments], check=False).returncode != 0:
        stop(f"`airflow {' '.join(arguments)}` failed; its messages are above")


def check(part: str) -> None:
    """End with a sentence where a part is not healthy."""
    with urllib.request.urlopen(os.environ["AIRFLOW_HEALTH"], timeout=50) as answer:  # noqa: S310 - the address is in compose.yaml
        status = json.load(answer)[part]["status"]
    if status != "healthy":
        stop(f"{part} is {status}")


def main(arguments: list[str]) -> None:
    """Do what the arguments of the container say."""
    if arguments[0] == "healthy":
        check(arguments[1])
        return
    set_environment()
    if arguments != ["setup"]:
        os.execv(AIRFLOW, ["airflow", *arguments])  # noqa: S606
    make_database()
    airflow("db", "migrate")
    airflow("pools", "set", "promotion", "1", "one promotion or rollback at a time")


if __name__ == "__main__":
    main(sys.argv[1:])
