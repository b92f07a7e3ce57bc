"""What a backup was made with: what is newer than this stack knows is refused by its name, before anything is touched."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from passerelle import __version__
from passerelle.errors import OutsideError, UsageError
from passerelle.rollout.stack import Stack
from passerelle.rollout.swap import PSQL

#: Of the archive and its manifest; one is added when an older passerelle can no longer restore what is written.
FORMAT = 1
_VERSIONS = "SELECT current_setting('server_version_num')::int / 10000"
_SCHEMA = "SELECT version_num FROM alembic_version"
#: Run in MLflow's image: whether it knows a schema.
_KNOWN = """
import sys
from alembic.script import ScriptDirectory
from mlflow.store.db.utils import _get_alembic_config
script = ScriptDirectory.from_config(_get_alembic_config("sqlite://"))
print("known" if sys.argv[1] in {each.revision for each in script.walk_revisions()} else "unknown")
"""


@dataclass(frozen=True)
class Origin:
    """What a backup was made with.

    Attributes:
        format: Of the file.
        passerelle: The version that wrote it.
        postgres: Major version of the PostgreSQL that the database was dumped from; 0 where it is not known.
        mlflow_schema: Revision of MLflow's schema; empty where it is not known.
    """

    format: int = FORMAT
    passerelle: str = ""
    postgres: int = 0
    mlflow_schema: str = ""

    def described(self) -> Mapping[str, object]:
        """Return it as the manifest holds it."""
        return asdict(self)


def origin_of(stack: Stack) -> Origin:
    """Return what a backup of this stack is made with.

    Raises:
        OutsideError: PostgreSQL does not answer.
    """
    return Origin(FORMAT, __version__, _postgres(stack), _schema(stack))


def recorded_origin(manifest: Mapping[str, Any]) -> Origin:
    """Return what a manifest says; backups of before say nothing."""
    found = manifest.get("origin") or {}
    try:
        return Origin(
            int(found.get("format", FORMAT)),
            str(found.get("passerelle", "")),
            int(found.get("postgres", 0)),
            str(found.get("mlflow_schema", "")),
        )
    except (TypeError, ValueError, AttributeError):
        return Origin(format=FORMAT + 1, passerelle=json.dumps(found)[:80])


def refuse_newer_format(origin: Origin) -> None:
    """Check that this passerelle knows the format of a backup.

    Raises:
        UsageError: It does not.
    """
    if origin.format > FORMAT:
        raise UsageError(
            f"the backup was written by a newer passerelle ({origin.passerelle}): its format is {origin.format}, and this one "
            f"({__version__}) knows {FORMAT}; nothing was changed",
            hint="pip install --upgrade 'passerelle[workbench]'",
        )


def refuse_newer_servers(stack: Stack, origin: Origin) -> None:
    """Check that the stack's PostgreSQL and MLflow know what a backup holds.

    Raises:
        UsageError: One of them is older than what the backup was made with.
        OutsideError: PostgreSQL does not answer.
    """
    here = _postgres(stack)
    if origin.postgres > here:
        raise UsageError(
            f"the backup is of PostgreSQL {origin.postgres}, and the stack runs {here}; nothing was changed",
            hint=f"export POSTGRES_IMAGE=postgres:{origin.postgres}-trixie\npasserelle up --target compose --no-model",
        )
    schema = origin.mlflow_schema
    if schema and schema != _schema(stack) and not _known(stack, schema):
        raise UsageError(
            f"the backup holds MLflow's schema {schema}, which is newer than the MLflow of the stack knows; nothing was changed",
            hint="passerelle new . --update --yes\npasserelle up --target compose --no-model",
        )


def _postgres(stack: Stack) -> int:
    answer = stack.compose(*PSQL, "--command", _VERSIONS)
    if answer.returncode != 0:
        raise OutsideError(f"PostgreSQL does not answer: {answer.stderr.strip()}", hint=f"{stack.command} logs postgres")
    return int(answer.stdout.strip() or 0)


def _schema(stack: Stack) -> str:
    """Return the revision of MLflow's schema; nothing where MLflow made none yet."""
    answer = stack.compose(*PSQL, "--dbname", "mlflow", "--command", _SCHEMA)
    return answer.stdout.strip() if answer.returncode == 0 else ""


def _known(stack: Stack, revision: str) -> bool:
    answer = stack.compose("run", "--rm", "--no-deps", "-T", "--entrypoint", "python3", "mlflow", "-c", _KNOWN, revision)
    if answer.returncode != 0:
        raise OutsideError(
            f"MLflow's image does not say which schemas it knows: {answer.stderr.strip()[-300:]}", hint=f"{stack.command} ps"
        )
    return answer.stdout.split()[-1:] == ["known"]
