"""What is wrong with settings, credentials, certificates and versions: printed at start, in /readyz and in `passerelle status`."""

from __future__ import annotations

import datetime
import re
import shutil
import ssl
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from passerelle.errors import SettingsError
from passerelle.names import MODEL_FOLDER, PREFIX, SCORER_FOLDER
from passerelle.serving.following.target import targets
from passerelle.serving.runtime import Runtime
from passerelle.stages.service_readiness import parsed_readiness
from passerelle.stages.status import Holdings, disagreements
from tests.unit.hint_commands import problem_of
from tests.unit.serving.following.registry_double import ALIAS, NAME, RegistryDouble, running
from tests.unit.serving.following.workers import Worker
from tests.unit.serving.models import vouched

Spoil = Callable[[RegistryDouble], None]
State = Callable[..., tuple[str, str, str]]


@pytest.fixture
def stated(registry: RegistryDouble, versions: dict[int, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> State:
    """Return a function that starts a worker and returns code, message and hint; its log, /readyz and `status` hold the same."""

    def start(of: RegistryDouble = registry, **given: Any) -> tuple[str, str, str]:
        worker = Worker(of, versions[1], tmp_path / "follow", **given)
        try:
            answer = worker.ask("/readyz", "GET").json()
            assert answer["ready"], "the service answers with what it has"
        finally:
            worker.stop()
        readiness = parsed_readiness(answer)
        (wrong,) = [each for each in (readiness.follows, *readiness.others) if each is not None and each.message]
        printed, lines = capsys.readouterr().err, "\n    or: ".join(wrong.hint.split("\n"))
        assert f"({wrong.code}): {wrong.message}\n  next: {lines}\n" in printed
        where: dict[str, Any] = {"follows": readiness.follows, "others": readiness.others}
        (found,) = disagreements(Holdings(NAME, 1, None, (1,), 1, None, None, readiness.version, "http://there", **where))
        assert found.what == f"the service does not follow {wrong.alias} ({wrong.code}): {wrong.message}"
        assert found.command == wrong.hint
        assert problem_of(wrong.hint) is None
        return wrong.code, wrong.message, wrong.hint

    return start


def answers(status: int) -> Spoil:
    def spoil(registry: RegistryDouble) -> None:
        registry.spoil = lambda _, __: (status, b"{}")

    return spoil


def without_alias(registry: RegistryDouble) -> None:
    registry.alias = None


@pytest.mark.parametrize(
    ("spoil", "given", "expected"),
    [
        (without_alias, {}, ("no_alias", "no version of test holds the alias production", "passerelle promote")),
        (
            without_alias,
            {"follow": "prodution"},
            (
                "no_alias",
                "no version of test holds the alias prodution",
                "passerelle promote\nexport PASSERELLE_FOLLOW=test@production",
            ),
        ),
        (
            answers(401),
            {},
            (
                "credentials",
                "refuses a request without credentials, and none are set (HTTP 401",
                "export MLFLOW_TRACKING_USERNAME=USER MLFLOW_TRACKING_PASSWORD=PASSWORD\nexport MLFLOW_TRACKING_TOKEN=TOKEN",
            ),
        ),
        (
            answers(401),
            {"follow_username": "follower", "follow_password": SecretStr("not-shown")},
            (
                "credentials",
                "refuses the user 'follower' with this password (HTTP 401",
                "export MLFLOW_TRACKING_USERNAME=USER MLFLOW_TRACKING_PASSWORD=PASSWORD",
            ),
        ),
        (
            answers(403),
            {"follow_token": SecretStr("not-shown")},
            (
                "credentials",
                "refuses the token of MLFLOW_TRACKING_TOKEN, which may have expired (HTTP 403",
                "export MLFLOW_TRACKING_TOKEN=TOKEN",
            ),
        ),
        (
            answers(401),
            {"follow_username": "follower", "follow_password_file": Path("/nowhere/password")},
            (
                "credentials",
                "with the password in /nowhere/password, which does not exist (HTTP 401",
                "ls -l /nowhere/password",
            ),
        ),
    ],
)
def test_what_the_registry_refuses_is_stated(
    registry: RegistryDouble, stated: State, spoil: Spoil, given: Mapping[str, Any], expected: tuple[str, str, str]
) -> None:
    spoil(registry)
    code, message, hint = stated(**given)
    assert (code, hint) == (expected[0], expected[2])
    assert expected[1] in message
    assert "not-shown" not in message


def test_a_registered_model_that_does_not_exist_is_stated(stated: State) -> None:
    code, message, _ = stated(follow=f"{ALIAS},nothing@{ALIAS}")
    assert (code, message) == ("no_model", "MLflow has no registered model nothing")


def test_a_version_of_another_task_is_stated(registry: RegistryDouble, stated: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Runtime, "task", "comments")
    registry.versions[2]["tags"][f"{PREFIX}task"] = "languages"
    registry.promote(2, 2)
    code, message, _ = stated()
    assert (code, message) == ("task", "the version was trained for the task 'languages', and the service answers 'comments'")


def test_a_version_that_asks_for_a_newer_python_is_stated(
    registry: RegistryDouble, versions: dict[int, Path], stated: State, tmp_path: Path
) -> None:
    folder = tmp_path / "newer"
    shutil.copytree(versions[2], folder)
    shutil.rmtree(folder / MODEL_FOLDER / SCORER_FOLDER)
    mlmodel = folder / MODEL_FOLDER / "MLmodel"
    mlmodel.write_text(re.sub(r"python_version: [0-9.]+", "python_version: 3.99.0", mlmodel.read_text()))
    vouched(folder)
    registry.register(2, folder, bundle=False)
    registry.promote(2, 2)
    code, message, hint = stated()
    assert code == "python"
    assert message.startswith("the version asks for Python 3.99.0, and the service runs on ")
    assert hint == "passerelle import; passerelle build; passerelle containerize; passerelle deploy"


def certificate(folder: Path, *, days: int = 1) -> Path:
    """Return a file with a key and a certificate for 127.0.0.1 that it signed itself; one of negative days has expired."""
    key, name, now = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "here")]),
        datetime.datetime.now(datetime.UTC),
    )
    begins = now - datetime.timedelta(days=9)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begins)
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"server{days}.pem"
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def encrypted(versions: dict[int, Path], tmp_path: Path) -> Iterator[Callable[[Path], RegistryDouble]]:
    """Return a function that serves the registry with a certificate."""
    with running() as double:
        double.register(1, versions[1])
        double.promote(1, 1)

        def serve(pem: Path) -> RegistryDouble:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pem)
            double.encrypt(context)
            return double

        yield serve


def test_a_certificate_that_is_not_trusted_is_stated_with_the_reason(
    encrypted: Callable[[Path], RegistryDouble], stated: State, tmp_path: Path
) -> None:
    registry = encrypted(certificate(tmp_path))
    code, message, hint = stated(registry)
    assert (code, message) == ("certificate", "the certificate of the MLflow server is not trusted: self-signed certificate")
    assert hint == "export MLFLOW_TRACKING_SERVER_CERT_PATH=authority.pem"


def test_a_certificate_that_has_expired_is_stated(encrypted: Callable[[Path], RegistryDouble], stated: State, tmp_path: Path) -> None:
    pem = certificate(tmp_path, days=-1)
    code, message, _ = stated(encrypted(pem), follow_ca_file=pem)
    assert (code, message) == ("certificate", "the certificate of the MLflow server is not trusted: certificate has expired")


def test_a_certificate_that_is_trusted_is_followed(
    encrypted: Callable[[Path], RegistryDouble], versions: dict[int, Path], tmp_path: Path
) -> None:
    pem = certificate(tmp_path)
    worker = Worker(encrypted(pem), versions[1], tmp_path / "a", follow_ca_file=pem)
    worker.stop()
    assert worker.runtime.following is not None
    assert worker.runtime.following.state.state == "in_step"


def test_a_server_without_encryption_at_an_encrypted_address_is_not_called_untrusted(registry: RegistryDouble, stated: State) -> None:
    registry.address = registry.address.replace("http:", "https:")
    _, message, hint = stated()
    assert "takes no encrypted connection" in message
    assert hint.startswith("export MLFLOW_TRACKING_URI=http://HOST:5000")


@pytest.mark.parametrize("name", ["follow_ca_file", "follow_client_cert_file"])
@pytest.mark.parametrize(("content", "why"), [(None, "No such file or directory"), (b"nothing", "holds no certificate in PEM")])
def test_a_certificate_that_cannot_be_read_ends_the_start(
    registry: RegistryDouble, tmp_path: Path, name: str, content: bytes | None, why: str
) -> None:
    path = tmp_path / "authority.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=why) as refused:
        targets(registry.settings(tmp_path).model_copy(update={name: path}), NAME)
    assert refused.value.hint is not None
    assert refused.value.hint.startswith("export MLFLOW_TRACKING_")
