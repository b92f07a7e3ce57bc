"""The table of the probes, in the order in which they are shown."""

from __future__ import annotations

from passerelle.doctor import (
    bentoml_store,
    cluster_rights,
    container_engines,
    disk_room,
    file_modes,
    live_service,
    mlflow_api,
    object_storage,
    promotions_ledger,
    python_packages,
    server_certificates,
    signature_keys,
    taken_ports,
)
from passerelle.doctor.side_by_side import Subject

SUBJECTS = (
    Subject(python_packages.NAME, python_packages.probe),
    Subject(disk_room.NAME, disk_room.probe),
    Subject(taken_ports.NAME, taken_ports.probe),
    Subject(file_modes.NAME, file_modes.probe),
    Subject(server_certificates.NAME, server_certificates.probe),
    Subject(object_storage.NAME, object_storage.probe),
    Subject(mlflow_api.NAME, mlflow_api.probe),
    Subject(promotions_ledger.NAME, promotions_ledger.probe),
    Subject(signature_keys.NAME, signature_keys.probe),
    Subject(bentoml_store.NAME, bentoml_store.probe),
    Subject(container_engines.ENGINE, container_engines.engine),
    Subject(container_engines.STACK, container_engines.compose_stack),
    Subject(cluster_rights.NAME, cluster_rights.probe),
    Subject(live_service.NAME, live_service.probe),
)
