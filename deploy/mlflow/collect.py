"""Run the collector of the prediction log: the key of its S3 user from a file, then `passerelle collect --follow` in its place."""

import os
import sys

from secret import secret

if __name__ == "__main__":
    os.environ["AWS_SECRET_ACCESS_KEY"] = secret("S3_SECRET")
    os.execv(sys.executable, [sys.executable, "-m", "passerelle", "collect", "--follow"])  # noqa: S606 - no shell is wanted
