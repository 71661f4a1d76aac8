"""A taken port is refused, with the name of who has it."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from infra.stack import ports


def test_a_taken_port_is_refused_naming_its_owner() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ports.Taken, match=rf"port {port} is taken by .*pid {os.getpid()}"):
            ports.refuse_taken([port])


def test_a_port_that_everybody_listens_on_counts_as_taken() -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken, pytest.raises(ports.Taken):  # noqa: S104
        ports.refuse_taken([taken.getsockname()[1]])


def test_up_starts_nothing_when_a_port_is_taken(tmp_path: Path) -> None:
    """Nor does it make a cluster."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        environment = {**os.environ, "PHOTOGRAM_STATE": str(tmp_path), "PHOTOGRAM_PORT": str(port)}
        environment["PHOTOGRAM_STORE_PORTS"] = "31000"
        done = subprocess.run(
            [sys.executable, "-m", "infra.stack", "up", "--profile", "run"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert f"port {port} is taken by" in done.stderr
    assert not list(tmp_path.glob("*/postgres-*"))
    assert not list(tmp_path.glob("*/supervisord.pid"))
