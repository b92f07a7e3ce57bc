"""The ports that the embedded platform and the services here had before, and who has them now."""

from __future__ import annotations

from collections.abc import Iterator

from passerelle.count_of import count_of
from passerelle.doctor.diagnosis import Diagnosis, Health, Surroundings, fine, not_used
from passerelle.platform.kept_ports import ports_in
from passerelle.platform.ports import port_is_taken
from passerelle.platform.state import owner, platform_folder
from passerelle.port_holder import port_holder
from passerelle.rollout.service_state import FOLDER, running_services

NAME = "ports"


def probe(here: Surroundings) -> Iterator[Diagnosis]:
    """Say which of the ports that clients know another process has taken."""
    state_dir = here.state.state_dir
    kept = {} if owner(state_dir) is not None else dict(ports_in(platform_folder(state_dir) / "ports.json"))
    running = {service.address for service in running_services(state_dir).values()}
    for path in sorted((state_dir.resolve() / FOLDER).glob("*.ports")):
        kept |= {name: port for name, port in ports_in(path).items() if not any(each.endswith(f":{port}") for each in running)}
    taken = {name: port for name, port in kept.items() if port_is_taken(port)}
    for name, port in taken.items():
        message = f"port {port} of {name} is taken by {port_holder(port)}; the next start chooses another one"
        yield Diagnosis(NAME, Health.WARNING, message)
    if not taken:
        ours = f"{count_of(len(kept), 'port')} of an earlier start, none of them taken" if kept else "no port is kept for a start"
        yield (fine if kept else not_used)(NAME, ours)
