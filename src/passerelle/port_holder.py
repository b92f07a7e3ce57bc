"""Who listens on a port of this machine, in words for an error."""

from __future__ import annotations


def port_holder(port: int) -> str:
    """Return the process that listens on a TCP port, with its name; `another process` where this user may not know."""
    import psutil  # noqa: PLC0415 - slow to import, and only an error needs it

    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.pid and connection.laddr[1:2] == (port,):
                return f"process {connection.pid} ({psutil.Process(connection.pid).name()})"
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        pass
    return "another process"
