"""TLS between the parts of a stack: the certificate, the settings, and the configuration files of the stores."""

import re
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from infra.stack import certificates, configs, env_file
from infra.stack.certificates import AUTHORITY, CERTIFICATE, KEY, KEYSTORE
from infra.stack.options import InvalidSetting
from infra.stack.profiles import Profile, profile
from layers.core import tls
from layers.core.settings import settings

ACTIVE = re.compile(r"^\s*[^#\s].*$", re.MULTILINE)


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    for name in ("PHOTOGRAM_STORES_TLS", "PHOTOGRAM_BACKUP"):
        monkeypatch.delenv(name, raising=False)
    return msgspec.structs.replace(profile("run"), state=tmp_path)


# ── The certificate ─────────────────────────────────────────────────────────


def connect(stack: Profile, name: str, ca_file: Path) -> str:
    """The protocol that a client agrees on with a server that has the certificate of the stack."""
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    served.load_cert_chain(certificates.folder(stack) / CERTIFICATE, certificates.folder(stack) / KEY)
    client, server = socket.socketpair()
    with ThreadPoolExecutor(1) as threads, server:
        accepted = threads.submit(served.wrap_socket, server, server_side=True)
        with tls.secure(client, name=name, ca_file=str(ca_file)) as connection:
            version = connection.version()
        accepted.result().close()
    return version or ""


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_a_client_that_has_the_authority_accepts_the_certificate(stack: Profile, name: str) -> None:
    certificates.provide(stack)

    assert connect(stack, name, certificates.folder(stack) / AUTHORITY) == "TLSv1.3"


def test_a_client_refuses_another_name_and_another_authority(stack: Profile, tmp_path: Path) -> None:
    other = msgspec.structs.replace(stack, state=tmp_path / "other")
    other.state.mkdir()
    for each in (stack, other):
        certificates.provide(each)

    with pytest.raises(ssl.SSLCertVerificationError, match=r"not valid for 'photos\.test'"):
        connect(stack, "photos.test", certificates.folder(stack) / AUTHORITY)
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate verify failed"):
        connect(stack, "localhost", certificates.folder(other) / AUTHORITY)


def test_a_certificate_is_made_once_and_renewed_before_it_expires(stack: Profile) -> None:
    first = certificates.provide(stack, days=61)
    authority = (certificates.folder(stack) / AUTHORITY).read_text()
    assert certificates.provide(stack) == first

    short = replace_certificate(stack, days=59)
    renewed = certificates.provide(stack)

    assert renewed not in (first, short)
    assert certificates.provide(stack) == renewed
    assert (certificates.folder(stack) / AUTHORITY).read_text() == authority


def replace_certificate(stack: Profile, *, days: int) -> str:
    (certificates.folder(stack) / CERTIFICATE).unlink()
    return certificates.provide(stack, days=days)


def test_an_authority_that_would_expire_first_is_replaced(stack: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "_AUTHORITY_DAYS", 100)
    certificates.provide(stack, days=30)
    authority = (certificates.folder(stack) / AUTHORITY).read_text()
    monkeypatch.undo()

    certificates.provide(stack)

    assert (certificates.folder(stack) / AUTHORITY).read_text() != authority
    assert connect(stack, "localhost", certificates.folder(stack) / AUTHORITY)


def test_a_missing_file_is_made_again(stack: Profile) -> None:
    certificates.provide(stack)
    names = {path.name for path in certificates.folder(stack).iterdir()}
    (certificates.folder(stack) / KEYSTORE).unlink()

    certificates.provide(stack)

    assert {path.name for path in certificates.folder(stack).iterdir()} == names


def test_keys_are_readable_by_their_owner_alone(stack: Profile) -> None:
    certificates.provide(stack)
    public = {AUTHORITY, CERTIFICATE}
    secret = [path for path in certificates.folder(stack).iterdir() if path.name not in public]

    assert len(secret) >= 4
    assert [path for path in secret if path.stat().st_mode & 0o077] == []


# ── The settings ────────────────────────────────────────────────────────────


def test_with_the_setting_functions_get_urls_with_tls(stack: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOTOGRAM_STORES_TLS", "yes")
    given = env_file.for_functions(env_file.write(stack))

    assert given["DATABASE_URL"].split("?")[1].startswith("sslmode=verify-full&sslrootcert=")
    assert given["VALKEY_URL"].startswith("rediss://photogram_functions:")
    assert given["RABBITMQ_URL"].startswith("amqps://photogram_functions:")
    assert given["S3_ENDPOINT_URL"].startswith("https://")
    assert given["CASSANDRA_TLS_NAME"] == "localhost"
    assert given["STORES_CA_FILE"] == str(certificates.folder(stack) / AUTHORITY)
    assert env_file.rabbitmq_url_of_minio(env_file.read(stack)).endswith(f"?cacertfile={given['STORES_CA_FILE']}")


def test_the_setting_is_kept_until_it_is_changed(stack: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = env_file.write(stack)
    monkeypatch.setenv("PHOTOGRAM_STORES_TLS", "yes")
    env_file.write(stack)
    monkeypatch.delenv("PHOTOGRAM_STORES_TLS")
    assert env_file.write(stack)["VALKEY_URL"].startswith("rediss://")

    monkeypatch.setenv("PHOTOGRAM_STORES_TLS", "no")
    assert env_file.write(stack) == plain


def test_another_value_of_the_setting_is_refused(stack: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOTOGRAM_STORES_TLS", "true")

    with pytest.raises(InvalidSetting, match="PHOTOGRAM_STORES_TLS must be yes or no, not 'true'"):
        env_file.write(stack)


# ── The configuration files ─────────────────────────────────────────────────


def active_lines(stack: Profile, wanted: Callable[[str], object]) -> list[str]:
    configs.render(stack, env_file.write(stack))
    texts = [path.read_text() for path in (stack.state / "config").iterdir() if path.name != "definitions.json"]
    return [line.strip() for text in texts for line in ACTIVE.findall(text) if wanted(line)]


def test_with_the_setting_no_store_listens_without_tls(stack: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOTOGRAM_STORES_TLS", "yes")
    of_tcp = re.compile(r"^\s*(port \d+|listeners\.tcp|host |optional:|proxy_pass .*minio|proxy_ssl_verify)")

    assert sorted(set(active_lines(stack, of_tcp.search))) == [
        "listeners.tcp = none",
        "optional: false",
        "port 0",
        "proxy_pass https://minio/instagram-media/$folder$file;",
        "proxy_pass https://minio;",
        "proxy_ssl_verify on;",
    ]


def test_without_the_setting_nothing_is_said_of_certificates(stack: Profile) -> None:
    assert active_lines(stack, re.compile(r"tls|ssl|keystore|\.pem|\.crt|https://minio").search) == []
    assert not certificates.folder(stack).exists()


# ── Settings of functions ───────────────────────────────────────────────────


def test_the_url_of_postgres_may_name_its_own_authority(monkeypatch: pytest.MonkeyPatch) -> None:
    from layers.postgres import driver  # noqa: PLC0415 (loads psycopg)

    monkeypatch.setenv("STORES_CA_FILE", "/common.pem")
    settings.cache_clear()
    try:
        given = [driver._with_authorities(f"postgresql://a@b/c{query}") for query in ("", "?sslrootcert=/own.pem")]
    finally:
        monkeypatch.undo()
        settings.cache_clear()

    assert "sslrootcert=/common.pem" in given[0]
    assert given[1] == "postgresql://a@b/c?sslrootcert=/own.pem"
