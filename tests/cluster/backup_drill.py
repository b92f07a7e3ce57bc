"""The CronJob of backups on a real Kubernetes, beside a PostgreSQL and a MinIO that run there. By hand: its images weigh 1.5 GB.

    KUBERNETES_CONTROL_PLANE=PROGRAM python -m tests.cluster.backup_drill IMAGES.tar

IMAGES.tar, of `docker save`, holds PostgreSQL's image, MinIO's, and that of deploy/collector/Dockerfile, under the names in the variables
POSTGRES_IMAGE, MINIO_IMAGE and COLLECTOR_IMAGE.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from passerelle.rollout.backup_archive import checked_manifest
from passerelle.rollout.backup_encryption import make_identity, plain_archive

ROOT = Path(__file__).resolve().parents[2]
NAMESPACE, STORAGE = "mlflow", "minio"
IN = ("--namespace", NAMESPACE)
_TMP = "/tmp"  # noqa: S108 - in the containers
#: Brings the schema into the database, and some artifacts into the bucket.
CONTENT = """
import os, sys
sys.path.insert(0, "/app")
import boto3, start
from prepare_s3 import USERS
os.environ["PGPASSFILE"] = start.written("pgpass", "*:*:*:*:" + start.secret("POSTGRES_PASSWORD") + "\\n")
with start.alone() as cursor:
    start.migrate(cursor)
s3 = boto3.client("s3", endpoint_url=os.environ["S3_ENDPOINT_URL"], aws_access_key_id="admin",
    aws_secret_access_key=start.secret("MINIO_ROOT_PASSWORD"), region_name="us-east-1")
for number in range(20):
    s3.put_object(Bucket="passerelle", Key=f"mlflow/1/run/artifacts/{number}", Body=os.urandom(100_000))
"""


@dataclass(frozen=True)
class Program:
    """What a pod of the drill runs.

    Attributes:
        writable: Folders of its own.
        owner: User and group.
    """

    image: str
    variables: Mapping[str, str]
    writable: tuple[str, ...]
    owner: tuple[int, int]
    command: tuple[str, ...] = ()


class Drill:
    """One cluster, and the folder that its volume is on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.volume = folder / "backups"
        self.volume.mkdir()
        os.chown(self.volume, 999, 999)
        self.volume.chmod(0o700)
        self.secrets = {name: f"{name}-of-the-drill" for name in ("postgres", "minio_root", "postgres_mlflow", *self.users())}

    @staticmethod
    def users() -> tuple[str, ...]:
        return tuple(f"s3_{name}" for name in ("mlflow", "workbench", "prober", "backup", "pruner", "collector"))

    def kubectl(self, *arguments: str, given: object = None, may_fail: bool = False) -> str:
        """Return what kubectl says to these arguments, with objects as its input."""
        text = yaml.safe_dump_all(given) if isinstance(given, list) else None
        command = [str(self.folder / "c" / "bin" / "kubectl"), "--kubeconfig", str(self.folder / "c" / "kubeconfig"), *arguments]
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=600, check=False, cwd=ROOT)
        if done.returncode != 0 and not may_fail:
            pods = [*command[:3], *IN, "describe", "pods"]
            sys.stderr.write(subprocess.run(pods, capture_output=True, text=True, check=False, timeout=60).stdout[-4000:])
            raise SystemExit(f"{arguments}: {done.stdout}\n{done.stderr}")
        return done.stdout + (done.stderr if may_fail else "")

    def platform(self) -> None:
        """Bring up PostgreSQL, MinIO, and what the stack's setup makes in them."""
        labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
        self.kubectl("apply", "-f", "-", given=[
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}} for name in (NAMESPACE, STORAGE)
        ])  # fmt: skip
        for namespace in (NAMESPACE, STORAGE):
            files = [f"--from-literal={name}={value}" for name, value in self.secrets.items()]
            self.kubectl("--namespace", namespace, "create", "secret", "generic", "platform", *files)
        database = {"POSTGRES_USER": "mlflow", "POSTGRES_DB": "mlflow", "POSTGRES_PASSWORD_FILE": "/run/platform/postgres"}
        database |= {"PGDATA": "/var/lib/postgresql/cluster"}
        storage = {"MINIO_ROOT_USER": "admin", "MINIO_ROOT_PASSWORD_FILE": "/run/platform/minio_root"}
        owner = (int(os.environ.get("POSTGRES_UID", "999")), int(os.environ.get("POSTGRES_GID", "999")))
        folders = ("/var/lib/postgresql", "/run/postgresql")
        self.kubectl("apply", "-f", "-", given=[
            *served("postgresql", NAMESPACE, 5432, Program(os.environ["POSTGRES_IMAGE"], database, folders, owner)),
            *served("minio", STORAGE, 9000, Program(os.environ["MINIO_IMAGE"], storage, ("/data", _TMP), (1001, 1001))),
            volume(self.volume),
        ])  # fmt: skip
        for namespace in (NAMESPACE, STORAGE):
            self.kubectl("--namespace", namespace, "wait", "--for=condition=Ready", "pod", "--all", "--timeout=180s")
        given = {f"{name.upper()}_FILE": f"/run/platform/{name}" for name in self.secrets} | {
            "POSTGRES_HOST": "postgresql", "POSTGRES_PASSWORD_FILE": "/run/platform/postgres", "S3_ENDPOINT_URL": "http://minio.minio.svc:9000",
            "MINIO_ROOT_PASSWORD_FILE": "/run/platform/minio_root",
        }  # fmt: skip
        command = ("python3", "-c", "import subprocess\nsubprocess.run(['python3', '/app/prepare.py'], check=True)\n" + CONTENT)
        setup = Program(os.environ["COLLECTOR_IMAGE"], given, (_TMP,), (1003, 1003), command)
        self.kubectl("apply", "-f", "-", given=[pod("setup", NAMESPACE, setup)])
        self.kubectl(*IN, "wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/setup", "--timeout=300s")

    def install(self, recipient: str) -> None:
        """Type what docs/storage.md gives, with a kustomization of one's own for the images."""
        script = ROOT / "deploy" / "backup" / "dump.sh"
        literal = f"--from-literal=recipients={recipient}"
        self.kubectl(*IN, "create", "configmap", "passerelle-backup", f"--from-file={script}", literal)
        keys = [f"--from-literal={name}={self.secrets[of]}" for name, of in (("s3", "s3_backup"), ("postgres", "postgres"))]
        self.kubectl(*IN, "create", "secret", "generic", "passerelle-backup", *keys)
        own = self.folder / "own"
        own.mkdir()
        # kustomize takes relative folders alone.
        resources = [os.path.relpath(ROOT / "deploy" / "kubernetes" / "backup", own)]
        images = [image("passerelle/collector", os.environ["COLLECTOR_IMAGE"]), image("postgres", os.environ["POSTGRES_IMAGE"])]
        content = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": resources, "images": images}
        (own / "kustomization.yaml").write_text(yaml.safe_dump(content))
        self.kubectl("apply", "--warnings-as-errors", "--kustomize", str(own))

    def by_hand(self) -> None:
        """Make one backup with a job from the CronJob."""
        began = time.monotonic()
        self.kubectl(*IN, "create", "job", "--from=cronjob/passerelle-backup", "backup-now")
        waited = self.kubectl(*IN, "wait", "--for=condition=Complete", "job/backup-now", "--timeout=180s", may_fail=True)
        said = self.kubectl(
            *IN, "logs", "--selector", "app.kubernetes.io/name=passerelle-backup", "--all-containers", "--tail=20", may_fail=True
        )
        say(f"job/backup-now: {waited.strip()}, {time.monotonic() - began:.0f} s\n{said}")
        if "condition met" not in waited:
            say(self.kubectl(*IN, "describe", "pods", "--selector", "app.kubernetes.io/name=passerelle-backup")[-3000:])
            raise SystemExit(1)

    def by_schedule(self) -> None:
        """Wait until the controller has made one by itself."""
        every_minute = json.dumps({"spec": {"schedule": "* * * * *"}})
        self.kubectl(*IN, "patch", "cronjob", "passerelle-backup", "--patch", every_minute)
        # Of one day the newest is kept: there is another one, not one more.
        before, deadline = self.files(), time.monotonic() + 150
        while set(self.files()) <= set(before):
            if time.monotonic() > deadline:
                raise SystemExit("the schedule made none within 150 s")
            time.sleep(1)
        say("by the schedule: " + ", ".join(path.name for path in self.files()))
        self.kubectl(*IN, "patch", "cronjob", "passerelle-backup", "--patch", json.dumps({"spec": {"suspend": True}}))

    def refused(self) -> None:
        """Show what is said where the S3 refuses the key."""
        wrong = json.dumps({"stringData": {"s3": "another"}})
        self.kubectl(*IN, "patch", "secret", "passerelle-backup", "--patch", wrong)
        before = [path.name for path in self.files()]
        self.kubectl(*IN, "create", "job", "--from=cronjob/passerelle-backup", "backup-wrong")
        deadline, said = time.monotonic() + 90, ""
        while "Signature" not in said and time.monotonic() < deadline:
            said = self.kubectl(*IN, "logs", "job/backup-wrong", "--container=backup", may_fail=True)
            time.sleep(1)
        say(f"with a wrong key: {said.strip()}")
        if "Traceback" in said or "SignatureDoesNotMatch" not in said or [path.name for path in self.files()] != before:
            raise SystemExit(1)

    def files(self) -> list[Path]:
        return sorted(path for path in self.volume.iterdir() if path.is_file() and not path.name.startswith("."))

    def checked(self, identity: Path) -> None:
        """Open the backups, and see that nothing else is left on the volume."""
        for path in self.files():
            with plain_archive(path, identity) as plain:
                manifest, _ = checked_manifest(plain)
            digests, encrypted = len(manifest["digests"]), path.read_bytes()[:21].decode()
            say(f"{path.name}: {path.stat().st_size:,} bytes, {encrypted}, {digests} digests checked; made with {manifest['origin']}")
        say(f"on the volume: {sorted(path.name for path in self.volume.iterdir())}")


def say(line: str) -> None:
    """Write one line at once: the drill takes minutes."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def image(name: str, wanted: str) -> dict[str, str]:
    """Return what kustomize puts another image in by."""
    new_name, _, tag = wanted.rpartition(":")
    return {"name": name, "newName": new_name, "newTag": tag}


def pod(name: str, namespace: str, program: Program) -> dict[str, Any]:
    """Return a pod that ends with its command, or runs its image."""
    mounts = [{"name": f"own-{place}", "mountPath": path} for place, path in enumerate(program.writable)]
    container = {
        "name": name, "image": program.image, "env": [{"name": key, "value": value} for key, value in program.variables.items()],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [*mounts, {"name": "platform", "mountPath": "/run/platform"}],
    } | ({"command": list(program.command)} if program.command else {})  # fmt: skip
    volumes: list[dict[str, Any]] = [{"name": each["name"], "emptyDir": {}} for each in mounts]
    user, group = program.owner
    context = {"runAsNonRoot": True, "runAsUser": user, "runAsGroup": group, "fsGroup": group}
    spec = {
        "restartPolicy": "Never" if program.command else "Always", "containers": [container],
        "securityContext": context | {"seccompProfile": {"type": "RuntimeDefault"}},
        "volumes": [*volumes, {"name": "platform", "secret": {"secretName": "platform"}}],
    }  # fmt: skip
    metadata = {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/name": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def served(name: str, namespace: str, port: int, program: Program) -> list[dict[str, Any]]:
    """Return a pod that answers on a port, and its Service."""
    runs = pod(name, namespace, program)
    runs["spec"]["containers"][0]["readinessProbe"] = {"tcpSocket": {"port": port}, "periodSeconds": 1}
    service = {"selector": {"app.kubernetes.io/name": name}, "ports": [{"port": port}]}
    return [runs, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace}, "spec": service}]


def volume(path: Path) -> dict[str, Any]:
    """Return the volume that the claim takes."""
    spec = {"capacity": {"storage": "20Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": str(path)}}
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "backups"}, "spec": spec}


def inside(folder: Path) -> None:
    """Run the drill where the cluster's addresses are reached."""
    drill, identity = Drill(folder), folder / "backup.key"
    recipient = make_identity(identity)
    drill.platform()
    drill.install(recipient)
    drill.by_hand()
    drill.by_schedule()
    drill.checked(identity)
    drill.refused()


def main(archive: str) -> int:
    """Start a cluster with these images, and the drill in it."""
    program = os.environ["KUBERNETES_CONTROL_PLANE"]
    with tempfile.TemporaryDirectory(prefix="drill-") as work:
        cluster, drill = f"{work}/c", f"'{sys.executable}' -m tests.cluster.backup_drill --inside {work}"
        started = f"'{program}' start {cluster} 0 && '{program}' node {cluster} '{archive}'"
        script = f"{started} && {drill}; code=$?; '{program}' stop {cluster}; exit $code"
        return subprocess.run([program, "private", "bash", "-c", script], check=False, cwd=ROOT, timeout=1500).returncode


if __name__ == "__main__":
    if sys.argv[1] == "--inside":
        inside(Path(sys.argv[2]))
    else:
        sys.exit(main(str(Path(sys.argv[1]).resolve())))
