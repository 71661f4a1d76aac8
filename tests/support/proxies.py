"""Stores behind toxiproxy, so that a test can end, refuse and stall their connections.

Each pytest process has one toxiproxy server, started at first use and ended with the process, by the kernel if need be.
"""

import atexit
import functools
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self
from urllib.parse import urlsplit, urlunsplit

import httpx
import msgspec
import pytest

from infra.stack import pins
from layers.cassandra import connection as cassandra_connection
from layers.core.errors import StoreUnavailable
from layers.core.settings import settings
from layers.media import connection as storage_connection
from layers.postgres import connection as postgres_connection
from layers.postgres.connection import transaction
from layers.rabbitmq import connection as rabbitmq_connection
from layers.valkey import admission
from layers.valkey import connection as valkey_connection
from tests.support.hosts import free_port
from tests.support.stores import storage_answers, valkey_answers
from tests.support.waiting import until


class Proxy:
    """A TCP proxy in front of a service."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        upstream = f"{self._parts.hostname}:{self._parts.port}"
        created = _post("/proxies", name=f"to-{free_port()}", listen="127.0.0.1:0", upstream=upstream, enabled=True)
        self._name: str = created["name"]
        self._listen: str = created["listen"]

    @property
    def port(self) -> int:
        """Where it listens, on loopback."""
        return int(self._listen.rpartition(":")[2])

    @property
    def url(self) -> str:
        """The service's URL, through the proxy."""
        userinfo, _, _ = self._parts.netloc.rpartition("@")
        netloc = f"{userinfo}@127.0.0.1:{self.port}" if userinfo else f"127.0.0.1:{self.port}"
        return urlunsplit(self._parts._replace(netloc=netloc))

    def cut(self) -> None:
        """End all connections; new ones are accepted."""
        self.close().open()

    def close(self) -> Self:
        """End all connections and refuse new ones."""
        _post(f"/proxies/{self._name}", enabled=False)
        return self

    def open(self) -> Self:
        """Accept again, on the same port."""
        _post(f"/proxies/{self._name}", listen=self._listen, enabled=True)
        return self

    def hang(self) -> None:
        """Keep connections, accept new ones, pass nothing on."""
        for stream in ("upstream", "downstream"):
            _post(f"/proxies/{self._name}/toxics", type="timeout", stream=stream, attributes={"timeout": 0})

    def delay(self, milliseconds: int) -> None:
        """Pass every answer on so much later."""
        _post(
            f"/proxies/{self._name}/toxics", type="latency", stream="downstream", attributes={"latency": milliseconds}
        )

    def lose_after(self, size: int) -> None:
        """End each connection after it has passed on so many bytes to the service."""
        _post(f"/proxies/{self._name}/toxics", type="limit_data", stream="upstream", attributes={"bytes": size})

    def lose_answers(self) -> None:
        """End each connection in place of the first answer of the service, which has done what was asked."""
        _post(f"/proxies/{self._name}/toxics", type="limit_data", stream="downstream", attributes={"bytes": 0})

    def pass_on(self) -> None:
        """Pass everything on at once: no longer delay, hang or end connections."""
        for toxic in _client().get(f"/proxies/{self._name}/toxics").json():
            _client().delete(f"/proxies/{self._name}/toxics/{toxic['name']}").raise_for_status()

    def remove(self) -> None:
        """End all connections and stop listening for good."""
        _client().delete(f"/proxies/{self._name}").raise_for_status()


class Proxies(msgspec.Struct):
    """PostgreSQL and Valkey behind proxies."""

    database: Proxy
    valkey: Proxy


@contextmanager
def proxy_to(url: str) -> Iterator[Proxy]:
    """A proxy to the service at this URL."""
    proxy = Proxy(url)
    try:
        yield proxy
    finally:
        proxy.remove()


@contextmanager
def through_proxies(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxies]:
    """This thread reaches PostgreSQL and Valkey through proxies; at the end it reaches them directly again."""
    with proxy_to(settings().database_url) as database, proxy_to(settings().valkey_url) as cache:
        monkeypatch.setenv("DATABASE_URL", database.url)
        monkeypatch.setenv("VALKEY_URL", cache.url)
        _reconnect()
        yield Proxies(database, cache)
    monkeypatch.undo()
    _reconnect()
    until(stores_answer)


@contextmanager
def valkey_at(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This thread reaches Valkey at this URL; at the end it reaches the stack's again."""
    monkeypatch.setenv("VALKEY_URL", url)
    settings.cache_clear()
    valkey_connection.close()
    try:
        yield
    finally:
        monkeypatch.undo()
        settings.cache_clear()
        valkey_connection.close()
        until(valkey_answers)
        admission.apply_revocations([])


@contextmanager
def cassandra_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """This process reaches Cassandra through a proxy; at the end it reaches it directly again."""
    with proxy_to(f"cql://127.0.0.1:{settings().cassandra_port}") as proxy:
        monkeypatch.setenv("CASSANDRA_PORT", str(proxy.port))
        settings.cache_clear()
        cassandra_connection.close()
        yield proxy
        cassandra_connection.close()
    monkeypatch.undo()
    settings.cache_clear()


@contextmanager
def storage_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """This process reaches the object store through a proxy; at the end it reaches it directly again."""
    with _through_a_proxy(monkeypatch, "S3_ENDPOINT_URL", settings().s3_url, storage_connection.close) as proxy:
        yield proxy
    until(storage_answers)


@contextmanager
def rabbitmq_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """This thread reaches RabbitMQ through a proxy; at the end it reaches it directly again."""
    with _through_a_proxy(monkeypatch, "RABBITMQ_URL", settings().rabbitmq_url, rabbitmq_connection.close) as proxy:
        yield proxy


@contextmanager
def _through_a_proxy(
    monkeypatch: pytest.MonkeyPatch, variable: str, url: str, close: Callable[[], None]
) -> Iterator[Proxy]:
    """The setting names a proxy to the service. `close` ends connections, after the proxy: it could hang."""
    with proxy_to(url) as proxy:
        monkeypatch.setenv(variable, proxy.url)
        settings.cache_clear()
        close()
        yield proxy
    monkeypatch.undo()
    settings.cache_clear()
    close()


def stores_answer() -> bool:
    """Whether PostgreSQL and Valkey are asked again, and answer."""
    try:
        with transaction() as db:
            db.execute("SELECT 1")
    except StoreUnavailable:
        return False
    return valkey_answers()


def _reconnect() -> None:
    settings.cache_clear()
    postgres_connection.close()
    valkey_connection.close()


def _post(path: str, **body: object) -> dict[str, str]:
    answer = _client().post(path, json=body)
    assert answer.is_success, answer.text
    found: dict[str, str] = answer.json()
    return found


def _stop(process: subprocess.Popen[bytes], client: httpx.Client) -> None:
    client.close()
    process.kill()
    process.wait()


@functools.cache
def _client() -> httpx.Client:
    """The API of this process's toxiproxy server."""
    port = free_port()
    command = ["setpriv", "--pdeathsig", "KILL", str(pins.toxiproxy()), "-host", "127.0.0.1", "-port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=5)
    atexit.register(_stop, process, client)

    def answers() -> bool:
        assert process.poll() is None, "toxiproxy has ended"
        try:
            return client.get("/version").is_success
        except httpx.TransportError:
            return False

    until(answers, every=0.02)
    return client
