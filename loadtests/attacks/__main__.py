"""One bad client: `python -m loadtests.attacks KIND ADDRESS KEYS_FILE FOLDER`; goes on until its standard input ends."""

from __future__ import annotations

import os
import sys
import threading

from loadtests.attacks.kinds import KINDS, Target


def main(kind: str, address: str, keys_file: str, folder: str) -> None:
    """Attack until nobody holds the other end of the standard input."""
    target = Target.of(address, keys_file, folder)
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    sys.stdout.write("attacking\n")
    sys.stdout.flush()
    while True:
        KINDS[kind](target)


if __name__ == "__main__":
    main(*sys.argv[1:])
