"""Ends with 0 while the service in this container is ready to answer; needs neither curl nor a shell."""

import http.client
import os
import sys

connection = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("BENTOML_PORT", "3000")), timeout=3)
try:
    connection.request("GET", "/readyz")
    sys.exit(connection.getresponse().status != http.client.OK)
except OSError:
    sys.exit(1)
