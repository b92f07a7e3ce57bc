"""Ports stay the same from one start to the next, and another one is taken only where somebody else has it."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import psutil

from passerelle.platform.kept_ports import kept_ports, ports_in
from passerelle.platform.ports import free_ports
from passerelle.platform.seaweed import _ports


def test_a_port_stays_the_same_unless_it_is_taken(tmp_path: Path) -> None:
    path, lines = tmp_path / "state" / "ports.json", list[str]()
    first = kept_ports(path, ("MLflow", "S3"), lines.append)
    assert kept_ports(path, ("MLflow", "S3"), lines.append) == first
    assert lines == []
    with socket.socket() as other:
        other.bind(("127.0.0.1", first["S3"]))
        other.listen()
        now = kept_ports(path, ("MLflow", "S3"), lines.append)
    assert now["MLflow"] == first["MLflow"]
    name = psutil.Process().name()
    assert lines == [f"port {first['S3']} of S3 is taken by process {os.getpid()} ({name}); it is {now['S3']} from now on"]
    assert kept_ports(path, ("MLflow", "S3"), lines.append) == now, "the new one is kept from then on"
    assert len(lines) == 1


def test_a_file_that_cannot_be_read_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    for content in ("{", "[]", json.dumps({"S3": "80", "MLflow": 70_000})):
        path.write_text(content)
        assert ports_in(path) == {}
        assert kept_ports(path, ("S3",)) == ports_in(path)


def test_the_s3_server_takes_none_of_the_ports_that_others_are_to_get() -> None:
    kept = free_ports(2)
    found = _ports(kept[0], kept)
    assert found["s3.port"] == kept[0]
    assert not {port for name, port in found.items() if name != "s3.port"} & set(kept)
    assert len(set(found.values())) == 8
