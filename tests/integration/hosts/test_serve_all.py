"""Several HTTP hosts that are forked from one process."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from tests.support.hosts import Host, copy_of_the_code, free_port, running
from tests.support.stack import ROOT
from tests.support.waiting import until


@contextmanager
def two_hosts(folder: Path, *arguments: str, code: Path = ROOT) -> Iterator[tuple[Host, list[int]]]:
    """Two hosts, as supervisord starts them, and their ports."""
    ports = [free_port(), free_port()]
    command = [sys.executable, "-m", "infra.local.serve_all", "--light", ",".join(map(str, ports))]
    command += ["--logs", str(folder), *arguments]
    with running(command, port=ports[0], log_file=folder / "host.log", folder=code) as host:
        until(lambda: answers(ports[1]))
        yield host, ports


def answers(port: int) -> str | None:
    """What a port answers; None if nothing listens there."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/api/health/live", timeout=5).text
    except httpx.TransportError:
        return None


def children(host: Host) -> list[psutil.Process]:
    return psutil.Process(host.process.pid).children()


def test_each_port_is_a_process_of_its_own_with_its_own_log(tmp_path: Path) -> None:
    with two_hosts(tmp_path) as (host, ports):
        assert len(children(host)) == 2
        for port in ports:
            httpx.get(f"http://127.0.0.1:{port}/api/health/live", headers={"x-trace-id": f"on-{port}"})
        logs = {port: (tmp_path / f"light-{port}.log").read_text() for port in ports}

    for port, log in logs.items():
        assert [f"on-{each}" in log for each in ports] == [each == port for each in ports]


def test_a_host_that_is_killed_is_replaced_and_the_other_goes_on(tmp_path: Path) -> None:
    with two_hosts(tmp_path) as (host, ports):
        before = {child.pid for child in children(host)}
        killed = children(host)[0]
        killed.kill()
        until(lambda: len(children(host)) == 2 and killed.pid not in {child.pid for child in children(host)})
        after = {child.pid for child in children(host)}

        assert len(before & after) == 1
        until(lambda: all(answers(port) for port in ports))
        assert '"exit_code":-9' in host.log


def test_sigterm_ends_all(tmp_path: Path) -> None:
    with two_hosts(tmp_path) as (host, ports):
        started = children(host)
        assert host.stop() == 0

        assert not any(child.is_running() for child in started)
        assert [answers(port) for port in ports] == [None, None]


def test_no_host_outlives_the_process_that_forked_it(tmp_path: Path) -> None:
    with two_hosts(tmp_path) as (host, _):
        started = children(host)
        host.process.send_signal(signal.SIGKILL)

        until(lambda: not any(child.is_running() for child in started))


def test_changed_code_is_reloaded_in_all(tmp_path: Path) -> None:
    code = copy_of_the_code(tmp_path)
    handler = code / "functions" / "health" / "get_live.py"
    with two_hosts(tmp_path, "--reload", code=code) as (_, ports):
        handler.write_text(handler.read_text().replace('"alive"', '"edited"'))

        until(lambda: all("edited" in (answers(port) or "") for port in ports))
