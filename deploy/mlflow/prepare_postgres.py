"""Make the role that the MLflow server has in PostgreSQL: owner of its database, and of nothing else. Can be run again."""

import os

from psycopg2 import sql
from secret import say, secret
from start import connected, written

#: `passerelle restore` and compose.yaml know it by this name.
ROLE = "mlflow_server"
#: Of a volume from the time when the server was the superuser, or of a restore: sequences and indexes follow their table.
_FOREIGN = """
SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm') AND relowner <> %s::regrole
"""


def prepare_role() -> None:
    """Give the role the secret's password, and what there is in the database.

    The superuser, whose password this job alone is given, is for backups.
    """
    os.environ["PGPASSFILE"] = written("pgpass", f"*:*:*:*:{secret('POSTGRES_PASSWORD')}\n")
    connection = connected()
    with connection, connection.cursor() as cursor:
        name, database = sql.Identifier(ROLE), sql.Identifier(connection.info.dbname)
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (ROLE,))
        if cursor.fetchone() is None:
            cursor.execute(sql.SQL("CREATE ROLE {}").format(name))
        limits = sql.SQL("ALTER ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD %s").format(name)
        cursor.execute(limits, (secret("POSTGRES_MLFLOW"),))
        cursor.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, name))
        cursor.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(database))
        cursor.execute(_FOREIGN, (ROLE,))
        for (table,) in cursor.fetchall():
            cursor.execute(sql.SQL("ALTER TABLE public.{} OWNER TO {}").format(sql.Identifier(table), name))
    connection.close()
    say(f"role {ROLE} of PostgreSQL")
