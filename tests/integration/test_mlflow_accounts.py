"""The account by which the service follows the registry, on the stack's own MLflow server: it reads and can do nothing else."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from passerelle.bentos.engine import inspect
from tests.engine_fixtures import ROOT, stack_image

pytestmark = [pytest.mark.integration, pytest.mark.engine, pytest.mark.timeout(600)]
MLFLOW = stack_image("mlflow")
#: Runs the server's own start with SQLite in PostgreSQL's place, and prints what it answers to each account.
ASK = """
import base64, contextlib, json, os, subprocess, sys, threading, time, urllib.error, urllib.request
sys.path.insert(0, "/app")
import start

start.URI = "sqlite:////tmp/mlflow.db"
start.alone = contextlib.nullcontext
start.migrate = lambda _: subprocess.run([sys.executable, "-m", "mlflow", "db", "upgrade", start.URI], check=True, capture_output=True)
def ask(account, method, path, body=None, host="127.0.0.1:5000"):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request("http://127.0.0.1:5000" + path, data, {"Content-Type": "application/json"}, method=method)
    request.add_header("Host", host)
    if account:
        request.add_header("Authorization", "Basic " + base64.b64encode(account.encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return [answer.status, json.loads(answer.read() or b"{}")]
    except urllib.error.HTTPError as error:
        return [error.code, error.read().decode()]

def asks():
    for _ in range(600):
        with contextlib.suppress(OSError):
            if urllib.request.urlopen("http://127.0.0.1:5000/health", timeout=1).status == 200:
                break
        time.sleep(0.2)
    answers = [ask(*each) for each in json.loads(os.environ["ASKED"])]
    processes = sum(each.isdigit() for each in os.listdir("/proc"))
    from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore
    del os.environ["MLFLOW_FOLLOWER_FILE"]
    start.keep_accounts()
    store = SqlAlchemyStore()
    store.init_db(start.URI)
    print(json.dumps([answers, store.has_user("follower"), store.has_user("admin"), processes]), flush=True)
    os._exit(0)

threading.Thread(target=asks).start()
start.main()
"""
API = "/api/2.0/mlflow"
ADMIN, FOLLOWER = "admin:password-of-the-admin", "follower:password-of-the-follower"
ALIAS = {"name": "m", "alias": "production", "version": "1"}
HOOK = {"name": "passerelle", "url": "http://127.0.0.1:9/follow/webhook", "secret": "s" * 20,
        "events": [{"entity": "MODEL_VERSION_ALIAS", "action": "CREATED"}]}  # fmt: skip
MADE_BY_THE_ADMIN = [
    (ADMIN, "POST", f"{API}/registered-models/create", {"name": "m"}),
    (ADMIN, "POST", f"{API}/model-versions/create", {"name": "m", "source": "s3://passerelle/mlflow/none"}),
    (ADMIN, "POST", f"{API}/registered-models/alias", ALIAS),
    (ADMIN, "POST", f"{API}/webhooks", HOOK),
]
READ = [
    (FOLLOWER, "GET", f"{API}/registered-models/alias?name=m&alias=production"),
    (FOLLOWER, "GET", f"{API}/registered-models/get?name=m"),
    (FOLLOWER, "GET", f"{API}/model-versions/get?name=m&version=1"),
]
REFUSED = [
    (FOLLOWER, "POST", f"{API}/registered-models/alias", ALIAS),
    (FOLLOWER, "DELETE", f"{API}/registered-models/alias", {"name": "m", "alias": "production"}),
    (FOLLOWER, "POST", f"{API}/registered-models/set-tag", {"name": "m", "key": "k", "value": "v"}),
    (FOLLOWER, "POST", f"{API}/model-versions/set-tag", {"name": "m", "version": "1", "key": "k", "value": "v"}),
    (FOLLOWER, "POST", f"{API}/registered-models/create", {"name": "other"}),
    (FOLLOWER, "POST", f"{API}/experiments/create", {"name": "other"}),
    (FOLLOWER, "POST", f"{API}/runs/create", {"experiment_id": "0"}),
    (FOLLOWER, "POST", f"{API}/webhooks", HOOK),
    (FOLLOWER, "GET", f"{API}/webhooks"),
    (FOLLOWER, "PATCH", f"{API}/users/update-password", {"username": "follower", "password": "another-long-one"}),
    (FOLLOWER, "POST", f"{API}/users/create", {"username": "another", "password": "another-long-one"}),
]
UNKNOWN = [
    ("follower:another-password-of-its", "GET", f"{API}/registered-models/get?name=m"),
    (None, "GET", f"{API}/registered-models/get?name=m"),
]
#: As a page of another site asks whose name was made to point to this address.
REBOUND = (ADMIN, "GET", f"{API}/registered-models/get?name=m", None, "evil.example")


def asked(engine: str, folder: Path, questions: list[Any], **variables: str) -> tuple[list[tuple[int, Any]], bool, bool, int]:
    """Return the server's answers, whether follower and admin are there once the service follows no longer, and how many processes ran."""
    folder.chmod(0o755)
    secrets = {"ADMIN_PASSWORD": ADMIN, "FOLLOWER": FOLLOWER, "WEBHOOK_KEY": ":" + base64.urlsafe_b64encode(bytes(32)).decode(),
               "FLASK_KEY": ":of-flask"}  # fmt: skip
    given = {"POSTGRES_PASSWORD_FILE": "/secrets/FLASK_KEY", "S3_SECRET_FILE": "/secrets/FLASK_KEY", "ASKED": json.dumps(questions)}
    for name, account in secrets.items():
        (folder / name).write_text(account.partition(":")[2])
        (folder / name).chmod(0o644)
        given[f"MLFLOW_{name}_FILE"] = f"/secrets/{name}"
    mounts = {str(ROOT / "deploy" / "mlflow" / f"{name}.py"): f"/app/{name}.py" for name in ("start", "secret", "accounts")}
    command = [
        engine, "run", "--rm", "--network", "none", "--read-only", "--cap-drop", "ALL", "--tmpfs", "/tmp",  # noqa: S108 - in the container
        *(part for each in {**given, **variables}.items() for part in ("--env", "=".join(each))),
        *(part for source, target in {**mounts, str(folder): "/secrets"}.items() for part in ("--volume", f"{source}:{target}:ro")),
        "--entrypoint", "python3", MLFLOW, "-c", ASK,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stderr[-3000:]
    answers, follower, admin, processes = json.loads(done.stdout.splitlines()[-1])
    return [(status, body) for status, body in answers], follower, admin, processes


def test_the_services_account_reads_the_registry_and_nothing_else(engine: str, tmp_path: Path) -> None:
    if inspect(engine, MLFLOW) is None:
        pytest.skip(f"needs the image {MLFLOW}: docker compose -f deploy/compose.yaml build")
    again = (ADMIN, "GET", f"{API}/registered-models/get?name=m")
    questions = [*MADE_BY_THE_ADMIN, *READ, *REFUSED, *UNKNOWN, REBOUND, again]
    answers, follower, admin, processes = asked(engine, tmp_path, questions, PASSERELLE_FOLLOW_WEBHOOK="on")
    status = [each for each, _ in answers]
    made, read, refused = len(MADE_BY_THE_ADMIN), len(READ), len(REFUSED)
    assert status[:made] == [200] * made, answers[:made]
    assert status[made : made + read] == [200] * read
    assert answers[made][1]["model_version"]["version"] == "1"
    assert status[made + read : made + read + refused] == [403] * refused
    assert status[made + read + refused :] == [401, 401, 403, 200]
    assert "Invalid Host header" in answers[-2][1]
    model = answers[-1][1]["registered_model"]
    assert (model["aliases"], model.get("tags", [])) == ([{"alias": "production", "version": "1"}], [])
    assert (follower, admin) == (False, True), "without following the account is deleted"
    assert processes == 1, "MLflow is loaded once"
