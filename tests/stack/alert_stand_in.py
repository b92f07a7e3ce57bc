"""What stands for people, for a backup job and for a certificate in a test of the alerts; runs in the image of MLflow.

It takes alerts as an Alertmanager does, shows the metric of a backup that is three days old, and a certificate that lasts one hour more;
and it fills nine tenths of the disk of a MinIO.
"""

import datetime
import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "classify.example.org")])
RECEIVED: "set[str]" = set()


class Answers(BaseHTTPRequestHandler):
    """The Alertmanager's API, the backup's metrics, and what was received."""

    def do_GET(self) -> None:
        if self.path == "/metrics":
            self.answer(f"passerelle_backup_last_success_timestamp_seconds {time.time() - 3 * 86400:.0f}\n")
        else:
            self.answer(json.dumps(sorted(RECEIVED)))

    def do_POST(self) -> None:
        alerts = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/of/the/team/api/v2/alerts":
            RECEIVED.update(each["labels"]["alertname"] for each in alerts)
        self.answer("")

    def answer(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


def certificate() -> str:
    """Return the path of a key and a certificate that lasted ten days, of which an hour is left."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(NAME).issuer_name(NAME).public_key(key.public_key()).serial_number(1)
    builder = builder.not_valid_before(now - datetime.timedelta(days=10)).not_valid_after(now + datetime.timedelta(hours=1))
    path = Path("/tmp/certificate.pem")  # noqa: S108 - in a container
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return str(path)


if __name__ == "__main__":
    Path("/small/file").write_bytes(bytes(37 * 2**20))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate())
    secure = ThreadingHTTPServer(("0.0.0.0", 8443), Answers)  # noqa: S104 - in a container
    secure.socket = context.wrap_socket(secure.socket, server_side=True)
    threading.Thread(target=secure.serve_forever, daemon=True).start()
    ThreadingHTTPServer(("0.0.0.0", 9093), Answers).serve_forever()  # noqa: S104 - in a container
