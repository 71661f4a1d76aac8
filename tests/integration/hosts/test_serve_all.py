"""Several HTTP hosts that are forked from one process."""

import os
import re
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.support.hosts import Host, answer, client_of, copy_of_the_code, serving_two
from tests.support.stack import ROOT
from tests.support.waiting import until

LIVE = Path("functions/health/get_live.py")
READY = Path("functions/health/get_ready.py")
SLOW = """
    import threading
    from layers.core.logging import logger

    logger().info("begun")
    threading.Event().wait({seconds})
"""


def children(host: Host) -> list[psutil.Process]:
    """The processes that serve: they have no child of their own."""
    processes = psutil.Process(host.process.pid).children(recursive=True)
    parents = {each.ppid() for each in processes}
    return [each for each in processes if each.pid not in parents]


def slow_code(folder: Path, seconds: float, *, function: Path = LIVE) -> Path:
    """A copy of the code in which a function logs that it has begun, and takes this time longer."""
    code = copy_of_the_code(folder)
    source, slow = (code / function).read_text(), SLOW.format(seconds=seconds)
    (code / function).write_text(re.sub("^def handler.*:$", lambda found: found[0] + slow, source, flags=re.MULTILINE))
    return code


def served_by(log: Path, hosts: list[psutil.Process]) -> psutil.Process:
    """The process that writes this log."""
    return next(each for each in hosts if str(log) in {file.path for file in each.open_files()})


def test_each_socket_is_a_process_of_its_own_with_its_own_log(tmp_path: Path) -> None:
    with serving_two(tmp_path) as (host, sockets):
        assert len(children(host)) == 2
        for path in sockets:
            with client_of(path) as client:
                client.get("/api/health/live", headers={"x-trace-id": f"at-{path.stem}"})
        logs = {path: path.with_suffix(".log").read_text() for path in sockets}

    for path, log in logs.items():
        assert [f"at-{each.stem}" in log for each in sockets] == [each == path for each in sockets]


def test_only_the_owner_and_the_group_may_connect(tmp_path: Path) -> None:
    with serving_two(tmp_path) as (_, sockets):
        assert {stat.S_IMODE(path.stat().st_mode) for path in sockets} == {0o660}


def test_a_host_that_is_killed_is_replaced_and_the_other_goes_on(tmp_path: Path) -> None:
    with serving_two(tmp_path) as (host, sockets):
        before = {child.pid for child in children(host)}
        killed = children(host)[0]
        killed.kill()
        until(lambda: len(children(host)) == 2 and killed.pid not in {child.pid for child in children(host)})
        after = {child.pid for child in children(host)}

        assert len(before & after) == 1
        assert all(answer(path) for path in sockets)
        assert '"exit_code":-9' in host.log


def test_a_killed_writer_loses_only_the_request_in_its_hands(tmp_path: Path) -> None:
    code = slow_code(tmp_path, 1)
    with serving_two(tmp_path, code=code, kind="writers") as (host, (path, _)), ThreadPoolExecutor(4) as threads:
        log = path.with_suffix(".log")
        until(lambda: log.exists() and log.read_text().count("GET"))
        begun = log.read_text().count('"begun"')
        asked = [threads.submit(answer, path) for _ in range(4)]
        until(lambda: log.read_text().count('"begun"') > begun)
        served_by(log, children(host)).kill()

        assert sorted(each.result() is None for each in asked) == [False, False, False, True]


def test_a_host_that_hangs_is_replaced(tmp_path: Path) -> None:
    with serving_two(tmp_path) as (host, (path, other)):
        hung = served_by(path.with_suffix(".log"), children(host))
        hung.suspend()

        assert answer(other)
        until(lambda: not hung.is_running(), seconds=15)
        until(lambda: answer(path))
        assert '"message":"process hangs"' in host.log
        assert len(children(host)) == 2


def test_hosts_that_hang_together_with_their_parent_go_on_with_it(tmp_path: Path) -> None:
    with serving_two(tmp_path) as (host, sockets):
        before, parent = children(host), psutil.Process(host.process.pid)
        together = [parent, *parent.children(recursive=True)]
        for each in together:
            each.suspend()
        threading.Event().wait(12)
        for each in together:
            each.resume()
        threading.Event().wait(2)

        assert children(host) == before
        assert all(answer(path) for path in sockets)


def test_sigterm_ends_all_after_their_requests(tmp_path: Path) -> None:
    code = slow_code(tmp_path, 1.5)
    with serving_two(tmp_path, code=code) as (host, sockets), ThreadPoolExecutor(1) as threads:
        started, log = children(host), sockets[0].with_suffix(".log")
        begun = log.read_text().count('"begun"')
        asked = threads.submit(answer, sockets[0])
        until(lambda: log.read_text().count('"begun"') > begun)
        assert host.stop() == 0

        assert "alive" in (asked.result() or "")
        assert not any(child.is_running() for child in started)
        assert [answer(path) for path in sockets] == [None, None]


def test_a_host_that_ends_says_that_it_is_not_ready(tmp_path: Path) -> None:
    code = slow_code(tmp_path, 1.5, function=READY)
    with (
        serving_two(tmp_path, code=code) as (host, (path, _)),
        client_of(path) as http,
        ThreadPoolExecutor(1) as threads,
    ):
        log = path.with_suffix(".log")
        assert http.get("/api/health/ready").status_code == 200
        begun = log.read_text().count('"begun"')
        asked = threads.submit(http.get, "/api/health/ready")
        until(lambda: log.read_text().count('"begun"') > begun)
        assert host.stop() == 0

    assert (asked.result().status_code, asked.result().json()["status"]) == (503, "not_ready")


def test_no_host_outlives_the_process_that_forked_it(tmp_path: Path) -> None:
    with serving_two(tmp_path) as (host, _):
        started = children(host)
        host.process.send_signal(signal.SIGKILL)

        until(lambda: not any(child.is_running() for child in started))


@pytest.mark.parametrize("kind", ["readers", "writers"])
def test_sighup_replaces_all_by_the_new_code_without_refusing_a_request(tmp_path: Path, kind: str) -> None:
    code = copy_of_the_code(tmp_path)
    with serving_two(tmp_path, code=code, kind=kind) as (host, sockets):
        before, is_over = children(host), threading.Event()
        with ThreadPoolExecutor(4) as threads:
            ask = answer if kind == "writers" else answer_or_again
            asked = [threads.submit(ask_until, is_over, ask, path) for path in sockets * 2]
            (code / LIVE).write_text((code / LIVE).read_text().replace('"alive"', '"edited"'))
            host.process.send_signal(signal.SIGHUP)
            try:
                until(lambda: not any(each.is_running() for each in before), seconds=60)
            finally:
                is_over.set()
            answers = [text for each in asked for text in each.result()]

        assert answers
        assert None not in answers
        assert all("edited" in (answer(path) or "") for path in sockets)
        assert len(children(host)) == 2


def ask_until(is_over: threading.Event, ask: Callable[[Path], str | None], path: Path) -> list[str | None]:
    answers = []
    while not is_over.is_set():
        answers.append(ask(path))
    return answers


def answer_or_again(path: Path) -> str | None:
    """What a host answers at the second attempt at the latest: nginx repeats requests that read."""
    return answer(path) or answer(path)


def test_sighup_leaves_the_hosts_alone_if_the_new_code_cannot_be_imported(tmp_path: Path) -> None:
    code = copy_of_the_code(tmp_path)
    with serving_two(tmp_path, code=code) as (host, sockets):
        before = children(host)
        with (code / "layers/core/clock.py").open("a") as layer:
            layer.write("\nraise ValueError('no clock')\n")
        host.process.send_signal(signal.SIGHUP)
        until(lambda: "no clock" in host.log)

        assert children(host) == before
        assert all(answer(path) for path in sockets)


def test_a_restart_while_hosts_are_replaced_ends_with_the_newest_code(tmp_path: Path) -> None:
    code = copy_of_the_code(tmp_path)
    with serving_two(tmp_path, code=code) as (host, sockets):
        for word in ("first", "second"):
            (code / LIVE).write_text((ROOT / LIVE).read_text().replace('"alive"', f'"{word}"'))
            host.process.send_signal(signal.SIGHUP)
            threading.Event().wait(1.5)

        until(lambda: all("second" in (answer(path) or "") for path in sockets), seconds=60)
        until(lambda: len(children(host)) == 2)


def test_check_imports_the_code_and_leaves_nothing_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "infra.local.serve_all", "--logs", str(tmp_path), "--check"]
    command += ["--readers", str(tmp_path / "host.sock")]
    variables = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    subprocess.run(command, cwd=ROOT, env=variables, check=True, timeout=60)

    assert not list(tmp_path.iterdir())
