"""A stack whose supervisord is killed comes back by itself."""

import contextlib
from collections.abc import Iterator

import httpx
import psutil
import pytest

from infra.stack import lifecycle
from tests.support.own_stack import OwnStack, own_stack
from tests.support.waiting import until


@pytest.fixture(scope="module")
def stack() -> Iterator[OwnStack]:
    """A running stack of its own."""
    with own_stack() as started:
        started.run("infra.stack", "up")
        yield started


def supervisord_pid(stack: OwnStack) -> int:
    return int((stack.profile.state / "supervisord.pid").read_text())


def find_guard(stack: OwnStack) -> psutil.Process | None:
    for child in psutil.Process(supervisord_pid(stack)).children():
        with contextlib.suppress(psutil.Error):  # it has ended meanwhile
            if "infra.stack.guard" in child.cmdline():
                return child
    return None


def is_alive(stack: OwnStack) -> bool:
    try:
        return httpx.get(f"{stack.profile.origin}/api/health/ready").status_code == 200
    except httpx.TransportError:
        return False


def test_a_killed_supervisord_is_started_again_with_all_it_supervised(stack: OwnStack) -> None:
    killed = psutil.Process(supervisord_pid(stack))
    left = killed.children(recursive=True)
    account = {"username": "ada", "email": "ada@example.org", "password": "correct horse battery"}
    httpx.post(f"{stack.profile.origin}/api/v1/auth/register", json=account).raise_for_status()
    killed.kill()

    until(lambda: not any(each.is_running() for each in left), seconds=60)
    until(lambda: is_alive(stack), seconds=60)
    until(lambda: lifecycle.status(stack.profile) == 0, seconds=30)
    assert supervisord_pid(stack) != killed.pid
    login = {"username": "ada", "password": "correct horse battery"}
    assert httpx.post(f"{stack.profile.origin}/api/v1/auth/login", json=login).status_code == 200


def test_a_killed_guard_is_started_again_and_does_its_work(stack: OwnStack) -> None:
    until(lambda: find_guard(stack)).kill()
    until(lambda: find_guard(stack))
    killed = psutil.Process(supervisord_pid(stack))
    killed.kill()

    until(lambda: supervisord_pid(stack) != killed.pid and is_alive(stack), seconds=60)


def test_a_stack_that_was_stopped_stays_stopped(stack: OwnStack) -> None:
    stack.run("infra.stack", "down")

    assert not (stack.profile.state / "supervisord.pid").exists()
    assert "does not run" in stack.run("infra.stack", "status", succeeds=False)
