"""Several processes that change the key file at the same time."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from passerelle import api_keys as keys
from passerelle.api_keys import make_key, read_keys, revoke_key

pytestmark = pytest.mark.integration


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "keys.json"


def test_changes_at_the_same_time_lose_none(key_file: Path) -> None:
    make_key(key_file, "revoked")
    code = "import sys; from pathlib import Path; from passerelle.api_keys import make_key\n"
    code += "for i in range(10): make_key(Path(sys.argv[1]), f'{sys.argv[2]} {i}')"
    environment = os.environ | {"PYTHONPATH": str(Path(keys.__file__).parents[2])}
    running = [subprocess.Popen([sys.executable, "-c", code, str(key_file), str(one)], env=environment) for one in range(4)]
    revoke_key(key_file, "revoked")
    assert [each.wait(60) for each in running] == [0] * 4
    states = {key.name: key.state(datetime.now(UTC)) for key in read_keys(key_file)}
    assert states == {"revoked": "revoked"} | {f"{one} {i}": "active" for one in range(4) for i in range(10)}
    assert [path.name for path in key_file.parent.iterdir()] == [key_file.name]
