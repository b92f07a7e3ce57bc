"""What Caddy would not start with is named by its variable before anything starts, with what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from passerelle.errors import SettingsError
from passerelle.rollout.proxy_settings import check_proxy

PEM = "-----BEGIN CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"PROXY_TLS": "intern"}, "PROXY_TLS is 'intern'; it is one of internal, own, acme"),
        ({"PROXY_TLS": "Own"}, "it is one of internal, own, acme"),
        ({"PROXY_TLS": "own"}, "PROXY_TLS=own needs PROXY_CERTIFICATE_FILE, which is not set"),
        ({"PROXY_TLS": "own", "PROXY_CERTIFICATE_FILE": "./c.pem"}, "PROXY_TLS=own needs PROXY_KEY_FILE"),
        ({"PROXY_TLS": "own", "PROXY_CERTIFICATE_FILE": "./no.pem"}, "no.pem is not there; its path is relative to"),
        ({"PROXY_TLS": "own", "PROXY_CERTIFICATE_FILE": "./empty"}, "empty is no file in PEM"),
        ({"PROXY_TLS": "own", "PROXY_CERTIFICATE_FILE": "."}, "is no file in PEM"),
        ({"PROXY_TLS": "acme", "ACME_DIRECTORY": "acme.example.org"}, "ACME_DIRECTORY is 'acme.example.org'"),
        ({"ANSWER_TIMEOUT": "4"}, "ANSWER_TIMEOUT is '4'; it is a duration with its unit, such as 4s"),
        ({"BATCH_TIMEOUT": "half a minute"}, "BATCH_TIMEOUT is 'half a minute'"),
    ],
)
def test_a_value_that_the_proxy_would_not_start_with(values: dict[str, str], sentence: str, tmp_path: Path) -> None:
    (tmp_path / "c.pem").write_text(PEM)
    (tmp_path / "empty").write_text("")
    with pytest.raises(SettingsError) as found:
        check_proxy(values, tmp_path)
    assert sentence in found.value.message
    assert found.value.hint


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"PROXY_TLS": "", "ANSWER_TIMEOUT": "", "ACME_DIRECTORY": ""},
        {"PROXY_TLS": "internal", "ACME_DIRECTORY": "nothing asks it"},
        {"PROXY_TLS": "acme"},
        {"PROXY_TLS": "own", "PROXY_CERTIFICATE_FILE": "./c.pem", "PROXY_KEY_FILE": "c.pem"},
        {"ANSWER_TIMEOUT": "1m30s", "BATCH_TIMEOUT": "1.5s"},
    ],
)
def test_what_it_starts_with(values: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "c.pem").write_text(PEM)
    check_proxy(values, tmp_path)
