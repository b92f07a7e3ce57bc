"""An organisation's package index and authorities: checked before a build, mounted where packages are installed, and shown nowhere."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from passerelle.bentos import build_secrets as secrets_module
from passerelle.bentos.build_secrets import build_secrets, mounting, secret_arguments, without_passwords
from passerelle.build_settings import BuildSettings
from passerelle.errors import OutsideError, SettingsError

INDEX = "[global]\nindex-url = https://team:hidden@mirror.example/simple\n"
DOCKERFILE = (resources.files("passerelle.bentos") / "image" / "Dockerfile").read_text()


def test_without_settings_a_build_is_as_before() -> None:
    assert build_secrets(BuildSettings.read({})) == {}
    assert mounting(DOCKERFILE, {}) == DOCKERFILE
    assert secret_arguments("docker", {}) == []


def test_secrets_are_mounted_while_packages_are_installed_and_nowhere_else(tmp_path: Path) -> None:
    (path := tmp_path / "pip.conf").write_text(INDEX)
    found = build_secrets(BuildSettings.read({}, build_pip_conf=path))
    assert secret_arguments("podman", found) == ["--secret", f"id=pip.conf,src={path}"]
    adopted = (resources.files("passerelle.bentos") / "image" / "adopted" / "Dockerfile").read_text()
    lines = mounting(DOCKERFILE + adopted, found).splitlines()
    changed = [line for line in lines if "--mount" in line]
    assert len(changed) == 2
    assert all(line.startswith("RUN --mount=type=secret,id=pip.conf,target=/run/secrets/pip.conf python3 /tools/") for line in changed)
    assert len(lines) == len((DOCKERFILE + adopted).splitlines())


@pytest.mark.parametrize("content", ["<html>sign in</html>", "", "\x00\x01", "-----BEGIN CERTIFICATE-----\nhidden\n"])
def test_authorities_that_are_not_pem_are_refused_by_name(tmp_path: Path, content: str) -> None:
    (path := tmp_path / "ca.pem").write_text(content)
    with pytest.raises(SettingsError, match=r"ca\.pem, which PASSERELLE_BUILD_CA names, holds no certificate in PEM"):
        build_secrets(BuildSettings.read({}, build_ca=path))
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        build_secrets(BuildSettings.read({}, build_ca=tmp_path / "none.pem"))


@pytest.mark.parametrize(
    "content", ["index-url = https://team:hidden@mirror", "[global]\nhidden", "[install]\nindex-url = x", "<html>hidden"]
)
def test_an_index_that_is_not_named_is_refused_without_quoting_the_file(tmp_path: Path, content: str) -> None:
    (path := tmp_path / "pip.conf").write_text(content)
    with pytest.raises(SettingsError, match=r"pip\.conf, which PASSERELLE_BUILD_PIP_CONF names") as refused:
        build_secrets(BuildSettings.read({}, build_pip_conf=path))
    assert "hidden" not in f"{refused.value.message} {refused.value.hint}"


def test_docker_without_buildkit_is_refused_where_it_would_keep_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_BUILDKIT", "0")
    with pytest.raises(OutsideError, match="only BuildKit keeps secrets out"):
        secret_arguments("docker", {"pip.conf": Path("pip.conf")})
    assert secrets_module.secret_arguments("buildah", {"ca.pem": Path("/ca")}) == ["--secret", "id=ca.pem,src=/ca"]


def test_what_a_build_says_is_shown_without_passwords() -> None:
    said = without_passwords("error: https://team:hidden@mirror.example/simple/click/ gave 403; see https://docs.example/a@b")
    assert "hidden" not in said
    assert "https://****@mirror.example/simple/click/ gave 403; see https://docs.example/a@b" in said
