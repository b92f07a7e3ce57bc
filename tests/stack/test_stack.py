"""The whole stack, really run: from an empty registry to a classified comment, without any privilege."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import ClientError

from passerelle.registry.objects import Objects
from passerelle.rollout.secret_files import API_KEY, NAMES
from passerelle.settings import S3Settings
from tests.stack.stack_fixtures import COMMENT, StackForTests, statuses, until

pytestmark = [pytest.mark.integration, pytest.mark.engine, pytest.mark.timeout(1800)]
PLATFORM = {"minio", "postgres", "mlflow", "proxy", "prometheus", "prober"}


def test_an_empty_registry_is_no_error(stack: StackForTests) -> None:
    running = {name for name, held in stack.inspected().items() if held["State"]["Running"]}
    assert running == PLATFORM
    answer = stack.ask()
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert "No model is deployed here yet" in answer.json()["message"]
    assert "make" not in answer.json()["message"], "what to type is no business of those who ask"
    assert answer.json()["code"] == "unavailable"
    said = stack.run("passerelle", "status")
    assert said.returncode == 0, said.stderr


@pytest.mark.timing
def test_the_platform_is_healthy_within_two_minutes(stack: StackForTests) -> None:
    """The goal is 60 s on a quiet machine; other tests run beside this."""
    assert stack.figures["platform_s"] < 120


def test_plain_compose_brings_up_the_same(stack: StackForTests) -> None:
    stack.compose("down")
    stack.compose("up", "--detach", "--wait")
    assert {name for name, held in stack.inspected().items() if held["State"]["Running"]} == PLATFORM


def test_the_demos_model_answers(served: StackForTests, record_property: Callable[[str, object], None]) -> None:
    answer = served.ask()
    assert answer.status_code == 200, answer.text
    assert (answer.json()["label"], answer.json()["model_version"]) == ("Pb de suivi /Délai", "1")
    held = json.loads(served.done("passerelle", "status", "--json"))
    assert held["holdings"]["alias"] == 1
    assert held["holdings"]["service"] == 1
    assert held["disagreements"] == []
    platform_s, model_s = served.figures["platform_s"], served.figures["model_s"]
    record_property("figure", f"stack: {platform_s:.0f} s to a healthy platform, {model_s:.0f} s more to '{answer.json()['label']}'")


def test_deploy_again_changes_nothing(served: StackForTests) -> None:
    before = {name: held["Id"] for name, held in served.inspected().items()}
    said = json.loads(served.done("passerelle", "deploy", "--target", "compose", "--json"))
    assert said["changed"] is False
    assert said["smoke"]["inputs"] > 0
    assert {name: held["Id"] for name, held in served.inspected().items()} == before


def test_nobody_holds_a_privilege(served: StackForTests) -> None:
    users = {"minio": 1001, "mlflow": 1003, "proxy": 1002, "prometheus": 65534, "service-1": 1034, "service-2": 1034}
    held = served.inspected()
    assert set(held) >= {*PLATFORM, "service-1", "service-2"}
    for name in {*PLATFORM, "service-1", "service-2"}:
        process, host = held[name], held[name]["HostConfig"]
        found = statuses(process)
        assert {int(found[capability], 16) for capability in ("CapEff", "CapPrm", "CapBnd", "CapInh")} == {0}, name
        assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2"), name
        uid = found["Uid"].split()[0]
        assert uid != "0", name
        assert int(uid) == users.get(name, int(uid)), name
        mounts = [line.split() for line in Path(f"/proc/{process['State']['Pid']}/mounts").read_text().splitlines()]
        options = {mount[1]: mount[3].split(",") for mount in mounts}
        assert "ro" in options["/"], name
        assert {"noexec", "nosuid", "nodev"} <= set(options["/tmp"]), name  # noqa: S108 - in the container
        assert host["Memory"] and host["NanoCpus"] and 0 < host["PidsLimit"] <= 200, name
        assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-file": "3", "max-size": "10m"}}, name
        assert process["State"]["Health"]["Status"] == "healthy", name


def test_what_is_published_is_on_loopback(served: StackForTests) -> None:
    bound = {
        (name, inner): [where["HostIp"] for where in outer or ()]
        for name, held in served.inspected().items()
        for inner, outer in held["NetworkSettings"]["Ports"].items()
    }
    assert {ip for ips in bound.values() for ip in ips} == {"127.0.0.1"}
    published = {name for (name, _), ips in bound.items() if ips}
    assert published == {"minio", "mlflow", "proxy", "prometheus"}


def test_the_service_reaches_only_what_asks_it(served: StackForTests) -> None:
    # At the same time, as each name takes its time not to be found.
    code = (
        "import concurrent.futures, socket\n"
        "def reached(there):\n"
        "    try:\n"
        "        socket.create_connection(there, 2).close(); return there[0]\n"
        "    except OSError: pass\n"
        "places = (('minio', 9000), ('postgres', 5432), ('mlflow', 5000), ('1.1.1.1', 53))\n"
        "with concurrent.futures.ThreadPoolExecutor(4) as pool: print(*filter(None, pool.map(reached, places)), end='')\n"
        "socket.create_connection(('proxy', 8080), 2).close()\n"
    )
    assert served.compose("exec", "-T", "service-1", "python3", "-I", "-c", code) == ""


def test_no_secret_is_in_a_variable_a_log_or_a_layer(served: StackForTests) -> None:
    # That of the digests of those in use has none itself.
    names = [path.name for path in (served.folder / "deploy" / "secrets").iterdir() if path.is_file() and path.name != ".in-use"]
    secrets = {name: served.secret(name) for name in names}
    assert set(secrets) == {*NAMES, API_KEY}
    held = served.inspected()
    shown = json.dumps({name: [each["Config"], each["Args"]] for name, each in held.items()})
    shown += served.compose("--profile", "*", "logs", "--no-color")
    for image in {each["Image"] for each in held.values()}:
        command = ["docker", "history", "--no-trunc", image]
        shown += subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    for name in ("minio", "postgres", "mlflow", "service-1"):
        pid = held[name]["State"]["Pid"]
        shown += Path(f"/proc/{pid}/cmdline").read_text()
    assert [name for name, secret in secrets.items() if secret in shown] == []
    assert COMMENT not in shown


def test_metrics_are_not_for_clients(served: StackForTests) -> None:
    assert requests.get(f"{served.address}/metrics", timeout=10).status_code == 404
    assert requests.post(f"{served.address}/classify", json={"text": COMMENT}, timeout=10).status_code == 401
    assert requests.get(served.environment["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/experiments/search", timeout=10).status_code == 401


def test_a_key_opens_the_service_until_it_is_revoked(served: StackForTests) -> None:
    def status(token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return requests.post(f"{served.address}/classify", json={"text": COMMENT}, headers=headers, timeout=10).status_code

    token = json.loads(served.done("passerelle", "keys", "make", "site", "--json"))["token"]
    until(lambda: status(token) == 200, within_s=10, what="the new key opens")
    served.done("passerelle", "keys", "revoke", "site")
    until(lambda: status(token) == 401, within_s=10, what="the revoked key is refused")


def client(stack: StackForTests, user: str) -> object:
    return boto3.client(
        "s3", endpoint_url=stack.environment["MLFLOW_S3_ENDPOINT_URL"], aws_access_key_id=user,
        aws_secret_access_key=stack.secret("minio_root_password" if user == "admin" else f"s3_{user}"), region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
    )  # fmt: skip


SERVER = """
import sys; sys.path.insert(0, "/app")
import os, psycopg2, start
os.environ["PGPASSFILE"] = start.written("pgpass-of-a-test", f"*:*:*:*:{start.secret('POSTGRES_PASSWORD')}\\n")
for statement in sys.argv[1:]:
    with start.connected() as connection, connection.cursor() as cursor:
        try:
            cursor.execute(statement)
            print("done")
        except psycopg2.Error as error:
            print(type(error).__name__)
"""


def test_the_mlflow_server_owns_its_database_and_nothing_else(stack: StackForTests) -> None:
    psql = ("exec", "-T", "postgres", "psql", "--username", "mlflow", "--dbname", "mlflow", "--tuples-only", "--no-align", "--command")
    rights = "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls FROM pg_roles WHERE rolname = 'mlflow_server'"
    assert stack.compose(*psql, rights).strip() == "f|f|f|f|f"
    connected = "SELECT DISTINCT usename FROM pg_stat_activity WHERE client_addr IS NOT NULL"
    until(
        lambda: stack.compose(*psql, connected).split() == ["mlflow_server"],
        within_s=20, what="MLflow is connected, as this role",
    )  # fmt: skip
    refused = (
        "COPY runs TO PROGRAM 'id'",
        "SELECT pg_read_file('/etc/passwd')",
        "ALTER ROLE mlflow_server CREATEDB",
        "CREATE ROLE another SUPERUSER",
    )
    said = stack.compose("exec", "-T", "mlflow", "python3", "-c", SERVER, "SELECT count(*) FROM runs", *refused)
    assert said.split() == ["done", *["InsufficientPrivilege"] * len(refused)]
    held = {name: [mount["Source"].rpartition("/")[2] for mount in each["Mounts"]] for name, each in stack.inspected().items()}
    assert sorted(name for name, secrets in held.items() if "postgres_password" in secrets) == ["postgres", "setup"]


MODEL, ENTRY, LOCK, OTHER = "mlflow/least/model", "ledger/least/000001.jsonl", "ledger/least/lock.json", "other/least"
LISTS = {
    "mlflow": ("mlflow/",),
    "prober": ("mlflow/", "ledger/", ""),
    "workbench": ("mlflow/", "ledger/", ""),
    "backup": ("mlflow/", "ledger/", ""),
    "pruner": ("mlflow/", "ledger/", ""),
}
READS = {
    "mlflow": (MODEL,),
    "prober": (MODEL, ENTRY, LOCK),
    "workbench": (MODEL, ENTRY, LOCK),
    "backup": (MODEL, ENTRY, LOCK, OTHER),
    "pruner": (ENTRY, LOCK),
}
WRITES = {"mlflow": (), "prober": (), "workbench": (MODEL, ENTRY, LOCK), "backup": (LOCK,), "pruner": (LOCK,)}
DELETES = {"mlflow": (), "prober": (), "workbench": (MODEL, LOCK), "backup": (LOCK,), "pruner": (MODEL, LOCK)}

#: One that would remove all that was replaced.
RULE = {"ID": "all", "Status": "Enabled", "Filter": {"Prefix": ""}, "NoncurrentVersionExpiration": {"NoncurrentDays": 1}}


@pytest.mark.parametrize("user", LISTS)
def test_each_user_may_do_what_it_needs_and_nothing_else(stack: StackForTests, user: str) -> None:
    admin, own = client(stack, "admin"), client(stack, user)
    for key in (MODEL, ENTRY, LOCK, OTHER):
        admin.put_object(Bucket="passerelle", Key=key, Body=b"x")  # type: ignore[attr-defined]

    def allowed(call: str, **arguments: object) -> bool:
        try:
            getattr(own, call)(Bucket="passerelle", **arguments)
        except ClientError as error:
            assert error.response["Error"]["Code"] in ("AccessDenied", "403"), error
            return False
        return True

    keys = (MODEL, ENTRY, LOCK, OTHER)
    assert tuple(key for key in keys if allowed("get_object", Key=key)) == READS[user]
    assert tuple(key for key in keys if allowed("put_object", Key=key, Body=b"y")) == WRITES[user]
    assert tuple(key for key in keys if allowed("delete_object", Key=key)) == DELETES[user]
    assert tuple(prefix for prefix in ("mlflow/", "ledger/", "other/", "") if allowed("list_objects_v2", Prefix=prefix)) == (
        (*LISTS[user][:2], "other/", "") if "" in LISTS[user] else LISTS[user]
    )
    # MinIO lets whoever may delete an object remove its versions too, unless that is denied.
    versions = {each["Key"]: each["VersionId"] for each in admin.list_object_versions(Bucket="passerelle")["Versions"]}  # type: ignore[attr-defined]
    for_good = tuple(key for key in keys if allowed("delete_object", Key=key, VersionId=versions[key]))
    assert for_good == ((MODEL,) if user == "pruner" else ())
    assert not allowed("put_bucket_lifecycle_configuration", LifecycleConfiguration={"Rules": [RULE]})
    assert not allowed("put_bucket_versioning", VersioningConfiguration={"Status": "Suspended"})
    assert not allowed("delete_bucket")
    assert not allowed("put_bucket_policy", Policy="{}")
    with pytest.raises(ClientError, match="AccessDenied"):
        own.create_bucket(Bucket="another")  # type: ignore[attr-defined]
    for key in keys:
        admin.delete_object(Bucket="passerelle", Key=key)  # type: ignore[attr-defined]


def test_nobody_removes_a_version_of_an_entry_without_saying_that_the_lock_is_to_be_bypassed(stack: StackForTests) -> None:
    admin, workbench = client(stack, "admin"), client(stack, "workbench")
    own = {"AWS_ACCESS_KEY_ID": "workbench", "AWS_SECRET_ACCESS_KEY": stack.secret("s3_workbench")}
    objects = Objects(S3Settings.read({**stack.environment, **own, "PASSERELLE_S3_BUCKET": "passerelle"}))
    assert objects.create(ENTRY, b"an entry")
    year = datetime.now(UTC) + timedelta(days=365)
    assert objects.hold(ENTRY, year)
    versions = admin.list_object_versions(Bucket="passerelle", Prefix=ENTRY)["Versions"]  # type: ignore[attr-defined]
    (version,) = (each for each in versions if each["IsLatest"])
    one = {"Bucket": "passerelle", "Key": ENTRY, "VersionId": version["VersionId"]}
    with pytest.raises(ClientError, match=r"WORM|AccessDenied"):
        admin.delete_object(**one)  # type: ignore[attr-defined]
    shorter = {"Mode": "GOVERNANCE", "RetainUntilDate": datetime.now(UTC) + timedelta(days=1)}
    with pytest.raises(ClientError, match=r"WORM|AccessDenied"):
        workbench.put_object_retention(**one, Retention=shorter)  # type: ignore[attr-defined]
    assert not objects.hold(MODEL, year), "what is not of the ledger is not locked"
    look = "ledger/least/looks/a/000001.json"
    assert (objects.create(look, b"a look"), objects.hold(look, year), objects.was_altered(look)) == (True, True, False)
    admin.delete_object(Bucket="passerelle", Key=look)  # type: ignore[attr-defined]
    assert objects.was_altered(look), "the workbench sees that it was there"
    admin.delete_object(**one, BypassGovernanceRetention=True)  # type: ignore[attr-defined]


def test_the_bucket_keeps_former_versions_and_those_of_artifacts_for_a_time(stack: StackForTests) -> None:
    rules = client(stack, "admin").get_bucket_lifecycle_configuration(Bucket="passerelle")["Rules"]  # type: ignore[attr-defined]
    days = {each["Filter"]["Prefix"]: each["NoncurrentVersionExpiration"]["NoncurrentDays"] for each in rules}
    assert days == {"mlflow/": 30, ".passerelle/": 1}
    assert client(stack, "admin").get_bucket_versioning(Bucket="passerelle")["Status"] == "Enabled"  # type: ignore[attr-defined]


def proportional_kib(pid: str) -> int:
    """Return what a process holds, shared pages by their share; 0 for one that has ended meanwhile, as health checks do."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(rollup.split("Pss:")[1].split()[0]) if "Pss:" in rollup else 0


def test_it_all_holds_less_than_two_gibibytes(served: StackForTests, record_property: Callable[[str, object], None]) -> None:
    resident = {}
    for name, held in served.inspected().items():
        if held["State"]["Running"]:
            top = subprocess.run(["docker", "top", held["Id"], "-eo", "pid"], capture_output=True, text=True, check=True, timeout=60).stdout
            resident[name] = sum(map(proportional_kib, top.split()[1:])) / 1024
    each = ", ".join(f"{name} {size:.0f}" for name, size in sorted(resident.items()))
    record_property("figure", f"stack, resident MiB: {sum(resident.values()):.0f} in all ({each})")
    assert sum(resident.values()) < 2048
