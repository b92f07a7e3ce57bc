"""MLflow's tracking server in one process.

`mlflow server` loads MLflow, prepares the database, and starts uvicorn as a further process that loads MLflow a second time: 12 s and
500 MiB on two cores. This does the same in one process: 7 s and 270 MiB. The variables below are how MLflow's own launcher talks to its
workers; they may change between versions, so MLflow is pinned and a test starts the server.
"""

from __future__ import annotations

import gc
import os
import sys
import uuid


def serve(port: int, store_uri: str, artifact_root: str) -> None:
    """Prepare the database and answer on the loopback address until a signal ends the process."""
    # Nothing that is made while modules load is garbage; looking for some takes a second.
    gc.disable()
    os.environ |= {
        "_MLFLOW_SERVER_FILE_STORE": store_uri,
        "_MLFLOW_SERVER_REGISTRY_STORE": store_uri,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": artifact_root,
        "_MLFLOW_SERVER_BOOT_ID": uuid.uuid4().hex,
        "_MLFLOW_SGI_NAME": "uvicorn",
    }
    import uvicorn  # noqa: PLC0415 - without looking for garbage, as what follows
    from mlflow.server import app as flask_app  # noqa: PLC0415 - reads the variables when it is imported
    from mlflow.server.fastapi_app import app  # noqa: PLC0415 - as the line before
    from mlflow.server.handlers import initialize_backend_stores  # noqa: PLC0415 - as the line before

    from passerelle.platform.registry_api import RegistryApi  # noqa: PLC0415 - as the line before

    initialize_backend_stores(store_uri, store_uri, artifact_root)
    gc.freeze()
    gc.enable()
    uvicorn.run(RegistryApi(flask_app, app), host="127.0.0.1", port=port, log_level="info", access_log=False)


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2], sys.argv[3])
