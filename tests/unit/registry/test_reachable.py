"""What is said where MLflow is not reached: over TLS, behind a page, or not at all."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from passerelle.errors import OutsideError
from passerelle.registry import reachable
from passerelle.settings import MlflowSettings

ADDRESS = "https://mlflow.example"
PEM = "(Caused by SSLError(SSLError(136, '[X509: NO_CERTIFICATE_OR_CRL_FOUND] no certificate or crl found (_ssl.c:4149)')))"
TRUST = "(Caused by SSLError(SSLCertVerificationError(1, '[SSL] certificate verify failed: self-signed certificate (_ssl.c:1006)')))"


def page(content: bytes) -> requests.Response:
    answer = requests.Response()
    answer.status_code, answer._content = 200, content
    return answer


@pytest.mark.parametrize(
    ("given", "words", "hint"),
    [
        (
            requests.exceptions.SSLError(PEM),
            "no TLS connection to https://mlflow.example: no certificate or crl found",
            "passerelle doctor",
        ),
        (requests.exceptions.SSLError(TRUST), "certificate verify failed: self-signed certificate", "export REQUESTS_CA_BUNDLE=FILE"),
        (OSError("invalid path: /nope.pem"), "no TLS connection to https://mlflow.example: invalid path: /nope.pem", "passerelle doctor"),
        (requests.ConnectionError("refused"), "MLflow does not answer at https://mlflow.example", "passerelle up"),
        (page(b"\n<!DOCTYPE html><html>Sign in first</html>"), "a web page answers at https://mlflow.example", "MLFLOW_TRACKING_URI"),
    ],
)
def test_why_it_is_not_reached(given: Any, words: str, hint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def get(*_: object, **__: object) -> requests.Response:
        if isinstance(given, requests.Response):
            return given
        raise given

    monkeypatch.setattr(reachable, "listens", lambda *_: True)
    monkeypatch.setattr(requests, "get", get)
    with pytest.raises(OutsideError) as refused:
        reachable.check_mlflow(MlflowSettings(tracking_uri=ADDRESS))
    assert words in refused.value.message
    assert hint in str(refused.value.hint)


def test_mlflow_itself_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reachable, "listens", lambda *_: True)
    monkeypatch.setattr(requests, "get", lambda *_, **__: page(b"OK"))
    reachable.check_mlflow(MlflowSettings(tracking_uri=ADDRESS))
