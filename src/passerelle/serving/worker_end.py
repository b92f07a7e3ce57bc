"""A worker ends with the process that supervises it, however that one ended: left behind, it would hold the port and answer."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

# Not a setting: the process that starts the workers sets it for them.
_VARIABLE = "_PASSERELLE_SUPERVISOR"
#: Time for what is being answered.
_DRAIN_S = 30.0


def name_supervisor() -> None:
    """Let the workers that this process starts from here on end with it."""
    os.environ[_VARIABLE] = str(os.getpid())


def end_with_supervisor() -> None:
    """Let this worker end in order once its supervisor is gone; called in the worker's event loop.

    Does nothing where the operating system cannot tell when a process ends.
    """
    loop, number = asyncio.get_running_loop(), os.environ.get(_VARIABLE, "")
    if not number.isdecimal() or not hasattr(os, "pidfd_open"):
        return
    try:
        supervisor = os.pidfd_open(int(number))
    except ProcessLookupError:
        loop.call_soon(_end, loop)
        return
    except OSError:
        return

    def ended() -> None:
        loop.remove_reader(supervisor)
        os.close(supervisor)
        _end(loop)

    loop.add_reader(supervisor, ended)


def _end(loop: asyncio.AbstractEventLoop) -> None:
    print("the process that supervises this worker is gone: the worker ends", file=sys.stderr, flush=True)  # noqa: T201
    # The handler of this signal lets requests in flight be answered; a request without end must not keep the port.
    loop.call_later(_DRAIN_S, os._exit, 1)
    signal.raise_signal(signal.SIGTERM)
