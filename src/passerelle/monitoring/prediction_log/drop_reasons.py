"""Why a record is missing in the prediction log."""

from __future__ import annotations

#: More came than was written, the disk took nothing, the folder has its most bytes, the record could not be written as a line, the process
#: that writes ended, the service ended first.
QUEUE, DISK, FOLDER, RECORD, PROCESS, SHUTDOWN = REASONS = ("queue", "disk", "folder", "record", "process", "shutdown")
