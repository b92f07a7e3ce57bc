"""Ports on loopback that stay the same from one start to the next, so that what other terminals and clients know stays true."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from passerelle.platform.ports import free_ports, port_is_taken
from passerelle.platform.private_file import write_private
from passerelle.port_holder import port_holder
from passerelle.regular_file import read_json_file

_LARGEST = 65_535


def kept_ports(path: Path, names: Sequence[str], progress: Callable[[str], None] = lambda _: None) -> dict[str, int]:
    """Return a free port for each name: the one that the file keeps, or a new one, which the file then keeps.

    Args:
        path: File with the ports, made on first use.
        progress: Called with a line for each port that is taken, and has another one in its place.
    """
    before = ports_in(path)
    free = {name: before[name] for name in names if name in before and not port_is_taken(before[name])}
    missing = [name for name in names if name not in free]
    found = free | dict(zip(missing, free_ports(len(missing)), strict=True))
    for name in missing:
        if name in before:
            progress(f"port {before[name]} of {name} is taken by {port_holder(before[name])}; it is {found[name]} from now on")
    if missing:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_private(path, json.dumps({**before, **found}, indent=1))
    return {name: found[name] for name in names}


def ports_in(path: Path) -> Mapping[str, int]:
    """Return the ports that the file keeps, by their names; none where there is no such file."""
    try:
        content = read_json_file(path)
        return {str(name): port for name, port in content.items() if isinstance(port, int) and 0 < port <= _LARGEST}
    except (OSError, ValueError, AttributeError):
        return {}
