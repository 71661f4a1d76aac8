"""After all processes were killed, the stack starts and can be used, although clients never stop calling."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial

import httpx
import pytest

from tests.support.http import PASSWORD
from tests.support.own_stack import own_stack

_PAUSE_SECONDS = 0.02


@contextmanager
def calling(origin: str) -> Iterator[None]:
    """Clients that sign in, upload and read, again and again. The answers do not matter."""
    account = {"username": "caller", "email": "caller@example.org", "password": PASSWORD}
    httpx.post(f"{origin}/api/v1/auth/register", json=account).raise_for_status()
    ended = threading.Event()

    def call(request: Callable[[], httpx.Response]) -> None:
        while not ended.wait(_PAUSE_SECONDS):
            with suppress(httpx.TransportError):
                request()

    requests: list[Callable[[], httpx.Response]] = [
        partial(httpx.post, f"{origin}/api/v1/auth/login", json=account),
        partial(httpx.post, f"{origin}/api/v1/posts", files={"media": ("a.jpg", b"-" * 1000)}),
        partial(httpx.get, f"{origin}/api/v1/feed/explore"),
    ]
    with ThreadPoolExecutor(len(requests)) as pool:
        for request in requests:
            pool.submit(call, request)
        try:
            yield
        finally:
            ended.set()


@pytest.mark.timeout(300)
def test_after_everything_was_killed_it_starts_and_takes_the_demo_while_clients_call() -> None:
    with own_stack() as stack:
        stack.run("infra.stack", "up")
        with calling(f"http://127.0.0.1:{stack.profile.ports.nginx}"):
            stack.kill()
            stack.run("infra.stack", "up")
            output = stack.run("infra.stack.with_settings", "--profile", "test", "infra.demo")

    assert "The demo is ready" in output
