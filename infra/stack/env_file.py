"""The profile's settings and secrets, KEY=value lines in `$STATE/env`; created once, readable by their owner only."""

import json
import os
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from infra.stack import certificates, options
from infra.stack.options import InvalidSetting
from infra.stack.profiles import Name, Profile, profile
from layers.core.settings import SIGNING_KEY_CHARACTERS, SIGNING_KEYS, settings

_ADMIN_SECRETS = tuple(f"{store}_ADMIN_PASSWORD" for store in ("POSTGRES", "VALKEY", "RABBITMQ", "CASSANDRA", "MINIO"))
_IN_URLS = ("POSTGRES_PASSWORD", "VALKEY_PASSWORD", "RABBITMQ_PASSWORD")
_FUNCTIONS_SECRETS = ("CASSANDRA_PASSWORD", "S3_SECRET_ACCESS_KEY", "MEDIA_LINK_SECRET", "CURSOR_SECRET")
_STACK_SECRETS = (*_ADMIN_SECRETS, *_IN_URLS, "MINIO_RABBITMQ_PASSWORD", "MEDIA_REFERER", "LIVE_STAGE")
_BACKUP = ("PHOTOGRAM_BACKUP", "BACKUP_GENERATION")
_TLS = "PHOTOGRAM_STORES_TLS"
_STACK_ONLY = (*_STACK_SECRETS, *_BACKUP, _TLS)
"""Settings that functions do not get, or only within a URL; MEDIA_REFERER is what lets nginx read from MinIO without a
signature."""

_LOOPBACK = ("localhost", "127.0.0.1")
ADMIN = "photogram"
"""The account that may do everything, in each store: for migrations and for people."""
FUNCTIONS = "photogram_functions"
"""The account of the functions in each store: it reads and writes data, and nothing else."""
MINIO = "photogram_minio"
"""MinIO's account in RabbitMQ."""
_URLS = ("DATABASE_URL", "VALKEY_URL", "RABBITMQ_URL")
TEST_LIMITS = {"general": [1_000_000, 60]}


class NeverStarted(Exception):
    """The stack has no settings because it was never started."""


def read(profile: Profile) -> dict[str, str]:
    """The stored settings; empty before the first `up`."""
    if not profile.env_file.is_file():
        return {}
    return dict(line.split("=", 1) for line in profile.env_file.read_text().splitlines() if "=" in line)


def write(profile: Profile) -> dict[str, str]:
    """Store the settings with the profile's current ports, and return them; all others are kept as they are.

    Raises `InvalidSetting` if PHOTOGRAM_BACKUP, PHOTOGRAM_STORES_TLS or a key for signatures cannot be used.
    """
    stored = read(profile)
    is_test = profile.name == "test"
    backup = _backup(options.value("PHOTOGRAM_BACKUP", is_test=is_test), stored)
    stored = {name: value for name, value in stored.items() if name not in _BACKUP}
    if "POSTGRES_ADMIN_PASSWORD" not in stored and "POSTGRES_PASSWORD" in stored:  # before functions had own accounts
        stored["POSTGRES_ADMIN_PASSWORD"] = stored.pop("POSTGRES_PASSWORD")
    names = (*_STACK_SECRETS, *_FUNCTIONS_SECRETS)
    new_secrets = {name: secrets.token_hex(24) for name in names if not stored.get(name)}
    chosen = {} if is_test else options.for_functions()
    values = stored | new_secrets | chosen | _addresses(profile) | _tls(profile, stored) | backup
    for name in map(str.upper, SIGNING_KEYS):
        if len(values[name]) < SIGNING_KEY_CHARACTERS:
            raise InvalidSetting(f"{name} in {profile.env_file} must have at least {SIGNING_KEY_CHARACTERS} characters")
    values["AWS_SECRET_ACCESS_KEY"] = values["S3_SECRET_ACCESS_KEY"]
    for name, secret in zip(_URLS, _IN_URLS, strict=True):
        values[name] = _with_account(values[name], FUNCTIONS, values[secret])
    values["LIVE_ENDPOINT_URL"] = f"http://127.0.0.1:{profile.ports.live}/{values['LIVE_STAGE']}"
    if profile.tls or "SECURE_COOKIES" not in values:
        values["SECURE_COOKIES"] = "true" if profile.tls else "false"
    if is_test:
        values["RATE_LIMITS"] = json.dumps(TEST_LIMITS, separators=(",", ":"))
    text = "".join(f"{name}={value}\n" for name, value in values.items())
    if not profile.env_file.is_file() or profile.env_file.read_text() != text:
        profile.env_file.touch(mode=0o600)
        profile.env_file.write_text(text)
    return values


def stores_ca_file(values: Mapping[str, str]) -> str:
    """The file with the authority of the stores' certificates; empty if the stores do not serve TLS."""
    return values.get("STORES_CA_FILE", "")


def backup_generation(values: Mapping[str, str]) -> Path | None:
    """The folder into which this stack is backed up; None if it is not."""
    return Path(values["PHOTOGRAM_BACKUP"], values["BACKUP_GENERATION"]) if "BACKUP_GENERATION" in values else None


def begin_generation(profile: Profile) -> dict[str, str]:
    """Store the settings without the generation of the backup, if there is one, and return them with the next one."""
    kept = {name: value for name, value in read(profile).items() if name != "BACKUP_GENERATION"}
    profile.env_file.write_text("".join(f"{name}={value}\n" for name, value in kept.items()))
    return write(profile)


def for_functions(values: Mapping[str, str]) -> dict[str, str]:
    """The settings that functions get."""
    return {name: value for name, value in values.items() if name not in _STACK_ONLY}


def for_account(values: Mapping[str, str], *, is_admin: bool) -> dict[str, str]:
    """The settings that functions get, with their accounts in the stores or the administrator's."""
    return for_administration(values) if is_admin else for_functions(values)


def for_administration(values: Mapping[str, str]) -> dict[str, str]:
    """The settings that functions get, with the administrator's accounts."""
    postgres, valkey, rabbitmq, cassandra, minio = (values[name] for name in _ADMIN_SECRETS)
    urls = {
        name: _with_account(values[name], ADMIN, password)
        for name, password in zip(_URLS, (postgres, valkey, rabbitmq), strict=True)
    }
    keys = {f"{prefix}_ACCESS_KEY_ID": ADMIN for prefix in ("S3", "AWS")}
    keys |= {f"{prefix}_SECRET_ACCESS_KEY": minio for prefix in ("S3", "AWS")}
    account = {"CASSANDRA_USERNAME": ADMIN, "CASSANDRA_PASSWORD": cassandra}
    return for_functions(values) | urls | keys | account


def postgres_url(values: Mapping[str, str]) -> str:
    """The administrator's URL of the database that every PostgreSQL has."""
    return urlsplit(for_administration(values)["DATABASE_URL"])._replace(path="/postgres").geturl()


def rabbitmq_url_of_minio(values: Mapping[str, str]) -> str:
    """The URL with which MinIO publishes its notifications; with TLS it names the authority, as MinIO wants it."""
    url = _with_account(values["RABBITMQ_URL"], MINIO, values["MINIO_RABBITMQ_PASSWORD"])
    return f"{url}?cacertfile={ca_file}" if (ca_file := stores_ca_file(values)) else url


def apply(name: Name) -> None:
    """Put the stack's settings into this process's environment, unless it was started with settings.

    Raises `NeverStarted` before the first `up`.
    """
    if os.environ.get("DATABASE_URL"):
        return
    chosen = profile(name)
    values = read(chosen)
    if not values:
        raise NeverStarted(f"The stack was never started. Start it with: {chosen.start_command}")
    os.environ.update(for_functions(values))
    settings.cache_clear()


def _backup(chosen: str, stored: Mapping[str, str]) -> dict[str, str]:
    """The backup folder and the generation in it; none if there is no backup.

    A generation is an unbroken history of one set of data. After a restore, or a time without backup, another begins.
    """
    folder = chosen or stored.get("PHOTOGRAM_BACKUP") or "no"
    if folder == "no":
        return {}
    if not Path(folder).is_absolute() or any(character.isspace() or character in "%," for character in folder):
        raise InvalidSetting(
            f"PHOTOGRAM_BACKUP must be an absolute path without spaces, commas and percent signs, not {folder!r}"
        )
    if stored.get("PHOTOGRAM_BACKUP") == folder and (generation := stored.get("BACKUP_GENERATION")):
        if not Path(folder, generation).is_dir():
            raise InvalidSetting(
                f"The backup {folder}/{generation} is missing. Mount its disk, or begin a new backup: "
                "start once with PHOTOGRAM_BACKUP=no, then again with the folder."
            )
        return {"PHOTOGRAM_BACKUP": folder, "BACKUP_GENERATION": generation}
    generation = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
    Path(folder, generation).mkdir(mode=0o700, parents=True)
    return {"PHOTOGRAM_BACKUP": folder, "BACKUP_GENERATION": generation}


def _addresses(profile: Profile) -> dict[str, str]:
    ports = profile.ports
    return {
        "DATABASE_URL": f"postgresql://127.0.0.1:{ports.postgres}/photogram",
        "VALKEY_URL": f"redis://127.0.0.1:{ports.valkey}/0",
        "RABBITMQ_URL": f"amqp://127.0.0.1:{ports.rabbitmq}/%2F",
        "CASSANDRA_HOSTS": "127.0.0.1",
        "CASSANDRA_PORT": str(ports.cassandra),
        "CASSANDRA_KEYSPACE": "instagram_dm",
        "CASSANDRA_USERNAME": FUNCTIONS,
        "S3_ENDPOINT_URL": f"http://127.0.0.1:{ports.minio}",
        "S3_ACCESS_KEY_ID": FUNCTIONS,
        "S3_BUCKET": "instagram-media",
        "AWS_DEFAULT_REGION": "eu-central-1",  # Lambda sets this and the two keys
        "AWS_ACCESS_KEY_ID": FUNCTIONS,
        "MEDIA_BASE_URL": f"{profile.origin}/media/",
        "UPLOADS_URL": profile.origin,
        "OWN_ORIGINS": ",".join(dict.fromkeys([profile.origin, *(f"http://{own}:{ports.nginx}" for own in _LOOPBACK)])),
        "LOCALSTACK_HOST": f"127.0.0.1:{ports.localstack}",
        "PHOTOGRAM_URL": profile.origin,
        "PROMETHEUS_MULTIPROC_DIR": str(profile.metrics),
    }


def _tls(profile: Profile, stored: Mapping[str, str]) -> dict[str, str]:
    """Whether the stores serve TLS, the settings for it, and the addresses that are others with it."""
    wanted = options.value(_TLS, is_test=profile.name == "test") or stored.get(_TLS) or "no"
    if wanted not in {"yes", "no"}:
        raise InvalidSetting(f"{_TLS} must be yes or no, not {wanted!r}")
    if wanted == "no":
        return {_TLS: wanted, "STORES_CA_FILE": "", "CASSANDRA_TLS_NAME": ""}
    ca_file = certificates.folder(profile) / certificates.AUTHORITY
    plain = _addresses(profile)
    return {
        _TLS: wanted,
        "STORES_CA_FILE": str(ca_file),
        "CASSANDRA_TLS_NAME": certificates.NAME,
        "DATABASE_URL": f"{plain['DATABASE_URL']}?{urlencode({'sslmode': 'verify-full', 'sslrootcert': ca_file})}",
        "VALKEY_URL": plain["VALKEY_URL"].replace("redis:", "rediss:", 1),
        "RABBITMQ_URL": plain["RABBITMQ_URL"].replace("amqp:", "amqps:", 1),
        "S3_ENDPOINT_URL": plain["S3_ENDPOINT_URL"].replace("http:", "https:", 1),
    }


def _with_account(url: str, user: str, password: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{user}:{password}@{parts.netloc.rpartition('@')[2]}").geturl()
