from __future__ import annotations

import re
import runpy
import shutil
from pathlib import Path

import pytest
import yaml

from passerelle.errors import SettingsError
from passerelle.rollout.stack_images import SOURCES, check_build_settings, folder_digests, image_variables

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"


@pytest.fixture
def deploy(tmp_path: Path) -> Path:
    for sources in SOURCES.values():
        for source in sources:
            target = tmp_path / "deploy" / source
            target.parent.mkdir(parents=True, exist_ok=True)
            if (DEPLOY / source).is_dir():
                shutil.copytree(DEPLOY / source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
            elif not target.exists():
                shutil.copy(DEPLOY / source, target)
    (tmp_path / "deploy" / "airflow" / "run_airflow.py").touch()
    return tmp_path / "deploy"


@pytest.mark.parametrize(
    ("file", "images"),
    [
        ("mlflow/Dockerfile", {"MLFLOW"}),
        ("mlflow/secret.py", {"MLFLOW", "AIRFLOW"}),
        ("healthy/main.go", {"MINIO", "PROXY"}),
        ("proxy/Caddyfile", {"PROXY"}),
        ("airflow/requirements.txt", {"AIRFLOW"}),
        ("airflow/run_airflow.py", set()),
    ],
)
def test_an_edit_gives_another_tag_to_the_images_that_it_enters(deploy: Path, file: str, images: set[str]) -> None:
    before = folder_digests(deploy)
    with (deploy / file).open("a") as edited:
        edited.write("# edited\n")
    after = folder_digests(deploy)
    assert {name for name in before if before[name] != after[name]} == {f"STACK_{image}_DIGEST" for image in images}


def test_it_does_not_depend_on_where_the_checkout_is(deploy: Path) -> None:
    (deploy / "mlflow" / "secret.pyc").write_bytes(b"compiled")
    assert folder_digests(deploy) == folder_digests(DEPLOY)
    assert folder_digests(deploy / "nowhere") == {}


def test_each_image_that_is_built_here_is_tagged_so() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    images = {service["image"] for service in services.values() if "build" in service}
    assert {re.findall(r"\$\{(STACK_\w+):-plain\}", image)[0] for image in images} == set(SOURCES)


SECRET = re.compile(r"--mount=type=secret,id=(\S+?),target=/run/secrets/\1 ")


def test_an_organisations_files_reach_each_build_as_secrets_and_no_container() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    built = {service["build"]["dockerfile"]: service["build"] for service in compose["services"].values() if "build" in service}
    assert len(built) == len(SOURCES)
    for dockerfile, build in built.items():
        text = (DEPLOY / build["context"] / dockerfile).read_text()
        installs = [
            step
            for step in re.split(r"^(?=[A-Z]+ )", text, flags=re.MULTILINE)
            if re.match(r"RUN\b.*(locked_packages|install )", step, re.DOTALL)
        ]
        assert installs, dockerfile
        for step in installs:
            assert set(SECRET.findall(step)) == set(build["secrets"]), dockerfile
            assert "locked_packages.py" in step or "ca.pem" in build["secrets"], dockerfile
        # What Go is built with is said in a stage that the image is not made from.
        last = text[text.rindex("\nFROM ") :]
        assert not re.search(r"\b(GOPROXY|GOSUMDB|SSL_CERT_FILE|PIP_|UV_)", last), dockerfile
        assert not re.search(r"^ENV .*(GOPROXY|GOSUMDB|SSL_CERT|PIP_|UV_)", text, re.MULTILINE), dockerfile
        if "GOPROXY" in text:
            assert {"GOPROXY", "GOSUMDB"} <= set(build["args"])
            assert last.startswith("\nFROM scratch\n"), "no history of the stage before"
    assert {"pip.conf", "ca.pem"} <= set(compose["secrets"])
    assert not [name for name, service in compose["services"].items() if {"pip.conf", "ca.pem"} & set(service.get("secrets", ()))]


def test_paths_of_an_organisations_files_hold_in_compose_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PASSERELLE_BUILD_CA", "ca.pem")
    monkeypatch.delenv("PASSERELLE_BUILD_PIP_CONF", raising=False)
    assert image_variables(tmp_path) == {"PASSERELLE_BUILD_CA": str(tmp_path / "ca.pem")}
    (tmp_path / "ca.pem").write_text("<html>sign in</html>")
    with pytest.raises(SettingsError, match=r"ca\.pem, which PASSERELLE_BUILD_CA names, holds no certificate in PEM"):
        check_build_settings()


INSTALL = runpy.run_path(str(DEPLOY / "mlflow" / "locked_packages.py"))


def test_the_installer_uses_what_the_build_was_given(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text("")
    (tmp_path / "ca.pem").write_text("")
    assert INSTALL["of_the_organisation"](tmp_path) == INSTALL["of_the_organisation"](tmp_path / "none") == {}
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = https://team:hidden%40@mirror.example/simple\ntrusted-host = mirror.example\n"
    )
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----")
    found = INSTALL["of_the_organisation"](tmp_path)
    assert found["UV_DEFAULT_INDEX"] == found["PIP_INDEX_URL"] == "https://team:hidden%40@mirror.example/simple"
    assert (found["PIP_CONFIG_FILE"], found["SSL_CERT_FILE"]) == (str(tmp_path / "pip.conf"), str(tmp_path / "ca.pem"))
    assert found["UV_INSECURE_HOST"] == "mirror.example"


@pytest.mark.parametrize("uv", ["/bin/uv", None])
@pytest.mark.parametrize("option", ["--target", "--python"])
def test_every_package_is_checked_by_its_hash(uv: str | None, option: str) -> None:
    command = INSTALL["command"]("/requirements.txt", option, "/app/lib", uv)
    assert command[-5:] == ["--require-hashes", "--only-binary", ":all:", "-r", "/requirements.txt"]
    assert command[command.index(option) + 1] == ("/app/lib")
    assert not [part for part in command if "://" in part]
