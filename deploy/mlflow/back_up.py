"""Back the stack up on a schedule: the key of the backup's S3 user from a file, dumps by the container beside PostgreSQL."""

import os
import sys
from pathlib import Path

from secret import say, secret, stop

if __name__ == "__main__":
    os.environ["AWS_SECRET_ACCESS_KEY"] = secret("S3_SECRET")
    from passerelle.errors import PasserelleError
    from passerelle.rollout.backup_rotation import Keep
    from passerelle.stages import scheduled_backup
    from passerelle.stages.context import context_of

    recipients = tuple(os.environ.get("BACKUP_RECIPIENTS", "").replace(",", " ").split())
    folder = Path(os.environ.get("BACKUP_FOLDER", "/var/lib/postgresql"))
    keep = Keep(int(os.environ.get("BACKUP_DAILY") or 7), int(os.environ.get("BACKUP_WEEKLY") or 4))
    every_s = 3_600 * float(os.environ.get("BACKUP_EVERY_HOURS") or 24)
    schedule = scheduled_backup.Schedule(folder, folder / "exchange", recipients, keep, every_s=every_s)
    try:
        if "--once" in sys.argv:
            scheduled_backup.run(context_of(os.environ), schedule, progress=say)
        else:
            scheduled_backup.follow(context_of(os.environ), schedule, port=9000, progress=say)
    except PasserelleError as error:
        stop(str(error))
