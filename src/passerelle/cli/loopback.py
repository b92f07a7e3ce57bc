"""Addresses of this machine, which no command asks through a proxy of the environment."""

from __future__ import annotations

import os

import click

from passerelle.proxy_variables import loopback_direct

#: Where a command's context keeps whether the shell would ask them through the proxy.
_OF_SHELL = f"{__name__}.through_proxy"


def keep_loopback_direct(context: click.Context) -> None:
    """Keep loopback addresses away from the proxy for the length of the command, and for the processes that it starts."""
    variables = loopback_direct()
    former = {name: os.environ.get(name) for name in variables}
    context.meta[_OF_SHELL] = bool(variables)
    os.environ.update(variables)

    def restore() -> None:
        for name, value in former.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    context.call_on_close(restore)


def for_shell(command: str) -> str:
    """Return a command of curl as it is typed: past the proxy, where the shell's variables would send it there."""
    context = click.get_current_context(silent=True)
    through_proxy = context is not None and context.meta.get(_OF_SHELL)
    return command.replace("curl ", "curl --noproxy '*' ", 1) if through_proxy else command
