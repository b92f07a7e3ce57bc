"""The port of each registered model's service on this machine, the same from one start to the next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from passerelle.names import bento_name
from passerelle.platform.kept_ports import kept_ports, ports_in
from passerelle.rollout.service_state import FOLDER, running_service


def service_port(state_dir: Path, registered_model: str, progress: Callable[[str], None] = lambda _: None) -> int:
    """Return the port for the next service of a registered model: the one that it had before, where that is free.

    A service that replaces one gets a second port, as the former one answers on the first until the new one is good. The one after it
    gets the first again.

    Args:
        progress: Called with a line where a process of others has taken the port.
    """
    path = state_dir.resolve() / FOLDER / f"{bento_name(registered_model)}.ports"
    first, second = f"the service of {registered_model}", f"the service of {registered_model} that replaces another"
    former = running_service(state_dir, registered_model)
    busy = former is not None and former.address.endswith(f":{ports_in(path).get(first)}")
    name = second if busy else first
    return kept_ports(path, [name], progress)[name]
