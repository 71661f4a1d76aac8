"""Stopping and starting the parts of the test stack, and looking at their processes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, Final, cast
from xmlrpc.client import ServerProxy

import psutil
from supervisor.xmlrpc import SupervisorTransport

from infra.stack import env_file, readiness, supervision
from infra.stack.profiles import profile
from tests.support.waiting import until

_PULSE_SECONDS: Final = 0.2


@contextmanager
def _supervisor() -> Iterator[Any]:
    transport = SupervisorTransport(None, None, f"unix://{profile('test').state}/supervisor.sock")
    try:
        yield cast("Any", ServerProxy("http://127.0.0.1", transport=transport)).supervisor
    finally:
        transport.close()


def answers(part: str) -> bool:
    """Whether the part can be used."""
    stack = profile("test")
    return readiness.problem(part, stack, env_file.read(stack)) is None


def running() -> set[str]:
    """The parts that run."""
    with _supervisor() as calls:
        return supervision.running(calls)


@contextmanager
def stop(part: str) -> Iterator[None]:
    """Stop a part of the stack; at the end it is back and answers."""
    with _supervisor() as calls:
        calls.stopProcess(part)
    try:
        yield
    finally:
        with _supervisor() as calls:
            calls.startProcess(part)
        until(lambda: answers(part), seconds=60)


@contextmanager
def hang(part: str) -> Iterator[None]:
    """A part of the stack keeps its connections and answers nothing; at the end it goes on."""
    stopped = process(part)
    processes = [stopped, *stopped.children(recursive=True)]
    for each in processes:
        with suppress(psutil.NoSuchProcess):
            each.suspend()
    try:
        yield
    finally:
        for each in processes:
            with suppress(psutil.NoSuchProcess):
                each.resume()


@contextmanager
def pulse(part: str) -> Iterator[None]:
    """A part of the stack stands still for half of the time."""
    ended = threading.Event()

    def stand_still() -> None:
        while not ended.wait(_PULSE_SECONDS):
            with hang(part):
                ended.wait(_PULSE_SECONDS)

    pulsing = threading.Thread(target=stand_still)
    pulsing.start()
    try:
        yield
    finally:
        ended.set()
        pulsing.join()


@contextmanager
def stop_if_running(part: str) -> Iterator[None]:
    """As `stopped`, for a part that may not be running anyway."""
    with _supervisor() as calls:
        is_running = calls.getProcessInfo(part)["statename"] == "RUNNING"
    with stop(part) if is_running else nullcontext():
        yield


def restart(part: str) -> None:
    """The part goes and comes back."""
    with stop(part):
        pass


def load_configuration(*parts: str) -> None:
    """Let supervisord read its configuration again, and restart these parts if it has changed."""
    with _supervisor() as calls:
        supervision.reload(calls)
        supervision.start_programs(calls, list(parts))


def process(part: str) -> psutil.Process:
    """The part's process, as supervisord runs it."""
    with _supervisor() as calls:
        return psutil.Process(calls.getProcessInfo(part)["pid"])


def hosts() -> list[psutil.Process]:
    """The processes that serve the API: children of the one that has imported the code."""
    return [host for importer in process("api").children() for host in importer.children()]


def process_ids(*parts: str) -> set[int]:
    """The ids of the processes of these parts, and of those that they have started; of the API, also of its hosts."""
    parents = [process(part) for part in parts]
    started = {each.pid for parent in parents for each in (parent, *parent.children())}
    return started | ({host.pid for host in hosts()} if "api" in parts else set())
