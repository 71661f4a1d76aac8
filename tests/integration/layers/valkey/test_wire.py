"""Connections to a Valkey that wants a password, has several databases, or is behind TLS."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.stack import debian
from layers.valkey.wire import Wire
from tests.support.hosts import free_port
from tests.support.waiting import until


@contextmanager
def _server(*options: str, port: int) -> Iterator[None]:
    command = [str(debian.valkey_server()), "--bind", "127.0.0.1", "--save", "", "--loglevel", "warning", *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            until(lambda: _is_open(port))
            yield
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


def test_tls_with_a_certificate_that_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port, certificate, key = free_port(), tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-out", str(certificate), "-keyout", str(key)),
        ],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    options = ["--tls-cert-file", str(certificate), "--tls-key-file", str(key), "--tls-auth-clients", "no"]
    with _server("--port", "0", "--tls-port", str(port), *options, port=port):
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            _open(f"rediss://localhost:{port}/0")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        wire = _open(f"rediss://localhost:{port}/0")

        assert _ask(wire, "PING") == b"PONG"
        assert wire.is_alive
        assert _ask(wire, "ECHO", "x" * 100_000) == b"x" * 100_000
        wire.close()
