"""Connections to a Valkey that wants a password, has several databases, or serves TLS."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil
import pytest

from infra.stack import certificates, debian
from infra.stack.profiles import profile
from layers.core.errors import StoreUnavailable
from layers.core.settings import settings
from layers.valkey import connection
from layers.valkey.connection import Script
from layers.valkey.wire import Wire
from tests.support.hosts import free_port
from tests.support.proxies import proxy_to, valkey_at
from tests.support.waiting import LATE_SECONDS, until


@contextmanager
def _server(*options: str, port: int) -> Iterator[psutil.Process]:
    command = [str(debian.valkey_server()), "--bind", "127.0.0.1", "--save", "", "--loglevel", "warning", *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            until(lambda: _is_open(port))
            yield psutil.Process(process.pid)
        finally:
            process.terminate()


def _is_open(port: int) -> bool:
    try:
        _open(f"redis://127.0.0.1:{port}").close()
    except ConnectionRefusedError:
        return False
    except OSError:
        return True
    return True


def _open(url: str) -> Wire:
    return Wire(url, connect_seconds=1, answer_seconds=1)


def _ask(wire: Wire, *command: str) -> object:
    wire.send([command])
    return wire.read()


def test_password_user_and_database_of_the_url() -> None:
    port = free_port()
    with _server("--port", str(port), "--requirepass", "a b/c", port=port):
        first = _open(f"redis://:a%20b%2Fc@127.0.0.1:{port}/0")
        second = _open(f"redis://default:a%20b%2Fc@127.0.0.1:{port}/1")
        _ask(first, "SET", "name", "first")

        assert _ask(first, "GET", "name") == b"first"
        assert _ask(second, "GET", "name") is None
        for wire in (first, second):
            wire.close()
        with pytest.raises(ConnectionError, match="WRONGPASS"):
            _open(f"redis://:wrong@127.0.0.1:{port}/0")


class SecureValkey(msgspec.Struct, frozen=True):
    """A Valkey that serves TLS alone."""

    port: int
    process: psutil.Process

    @property
    def url(self) -> str:
        return f"rediss://127.0.0.1:{self.port}/0"


@pytest.fixture
def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SecureValkey]:
    """It runs, and the settings name its authority."""
    stack, port = msgspec.structs.replace(profile("test"), state=tmp_path), free_port()
    certificates.provide(stack)
    files = {name: str(certificates.folder(stack) / name) for name in (certificates.CERTIFICATE, certificates.KEY)}
    monkeypatch.setenv("STORES_CA_FILE", str(certificates.folder(stack) / certificates.AUTHORITY))
    settings.cache_clear()
    options = ["--tls-cert-file", files[certificates.CERTIFICATE], "--tls-key-file", files[certificates.KEY]]
    with _server("--port", "0", "--tls-port", str(port), "--tls-auth-clients", "no", *options, port=port) as process:
        yield SecureValkey(port, process)
    monkeypatch.undo()
    settings.cache_clear()


def test_a_certificate_is_checked(secure: SecureValkey, monkeypatch: pytest.MonkeyPatch) -> None:
    wire = _open(secure.url)
    assert _ask(wire, "PING") == b"PONG"
    assert _ask(wire, "ECHO", "x" * 100_000) == b"x" * 100_000
    wire.close()

    monkeypatch.delenv("STORES_CA_FILE")
    settings.cache_clear()
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        _open(secure.url)


def test_a_new_connection_with_tls_is_alive_until_it_is_closed(secure: SecureValkey) -> None:
    wire, other = _open(secure.url), _open(secure.url)
    until(lambda: wire._poll.poll(0))  # what the server sends after a handshake without being asked
    assert wire.is_alive
    assert _ask(wire, "PING") == b"PONG"

    _ask(other, "CLIENT", "KILL", "ADDR", "{}:{}".format(*wire.address))
    until(lambda: not wire.is_alive)
    for each in (wire, other):
        each.close()


@pytest.mark.rule("R-D2")
def test_a_valkey_with_tls_that_hangs_is_given_up_in_time(secure: SecureValkey) -> None:
    with proxy_to(secure.url) as proxy:
        wire = _open(proxy.url)
        proxy.hang()
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            _ask(wire, "PING")
        assert time.monotonic() - started < 1 + LATE_SECONDS
        wire.close()


def test_what_is_left_with_a_valkey_with_tls_that_hangs_is_done_when_it_goes_on(
    secure: SecureValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Put(Script):
        text = b"return redis.call('SET', ARGV[1], ARGV[2])"

    put = Put()
    with valkey_at(secure.url, monkeypatch):
        try:
            put("name", "first")
            secure.process.suspend()
            with pytest.raises(StoreUnavailable):
                put("name", "second")
            connection.leave(put, "name", "third")
            connection.leave(put, "name", "fourth")
        finally:
            secure.process.resume()

        wire = _open(secure.url)
        assert _ask(wire, "GET", "name") == b"fourth"
        wire.close()
