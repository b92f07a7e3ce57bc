"""The supervisor, the process that starts the workers: it must take commands from no other process.

BentoML supervises with circus, which listens for commands on one loopback port and publishes its events on another, without any
authentication. One of the commands is to run a program. Every user of the machine, and every container of a pod, reaches loopback.
"""

from __future__ import annotations

import atexit
import errno
import itertools
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from bentoml._internal.utils import circus
from bentoml.exceptions import BentoMLException

from passerelle.monitoring.shared import make_folder
from passerelle.port_holder import port_holder
from passerelle.serving.drain import CLOSING_S
from passerelle.serving.unreachable import make_unreachable
from passerelle.serving.worker_end import name_supervisor

_NUMBERS = itertools.count()


def before_workers(workers: int) -> None:
    """Make what the workers share, and keep the process that starts them from listening for commands on TCP ports."""
    make_folder(workers)
    name_supervisor()
    close_ports()


def close_ports() -> None:
    """Let the supervisors that BentoML makes from here on in this process listen on no TCP port."""
    # `create_standalone_arbiter` has been imported by its caller already, and looks these two up when it is called.
    for name in ("Arbiter", "ThreadedArbiter"):
        kind = getattr(circus, name)
        if not hasattr(kind, "private_endpoints"):
            setattr(circus, name, _private(kind))


def _private(kind: Any) -> Any:
    class Private(kind):  # type: ignore[misc]
        """The same supervisor, which only its own process can reach; with plugins, which are processes, only its own user."""

        private_endpoints = True

        def __init__(self, watchers: list[Any], *, plugins: list[Any] | None = None, **options: Any) -> None:
            where = f"ipc://{_private_folder()}/" if plugins else f"inproc://supervisor-{next(_NUMBERS)}-"
            options |= {"endpoint": f"{where}control", "pubsub_endpoint": f"{where}events"}
            super().__init__(watchers, plugins=plugins, **options)

        def stop(self) -> Any:
            """End the workers; while they answer what has arrived, nobody new may connect: nobody would accept them."""
            if self.loop is not None:
                self.loop.call_later(CLOSING_S, make_unreachable, [each.fileno() for each in self.sockets.values()])
            return super().stop()

        def initialize(self) -> None:
            """Open the service's port; one that is taken ends the process with a sentence."""
            try:
                super().initialize()
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                port = next(iter(self.sockets.values())).port
                raise BentoMLException(
                    f"the port {port} is taken by {port_holder(port)}\n  next: bentoml serve --port {port + 1}"
                ) from None

    Private.__name__ = kind.__name__
    return Private


def _private_folder() -> Path:
    """Return a new folder that no other user can enter; it is removed when this process ends."""
    folder = tempfile.mkdtemp(prefix="passerelle-")
    owner = os.getpid()
    atexit.register(lambda: shutil.rmtree(folder, ignore_errors=True) if os.getpid() == owner else None)
    return Path(folder)
