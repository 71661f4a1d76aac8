"""The profile's settings and secrets: `$STATE/env`, KEY=value lines, made once and readable by its owner only."""

import json
import secrets
from collections.abc import Mapping
from urllib.parse import urlsplit

from infra.stack.profiles import Profile

_SECRETS = (
    "POSTGRES_PASSWORD",
    "RABBITMQ_PASSWORD",
    "S3_SECRET_ACCESS_KEY",
    "MEDIA_LINK_SECRET",
    "MEDIA_REFERER",
    "CURSOR_SECRET",
)
_STACK_ONLY = ("POSTGRES_PASSWORD", "RABBITMQ_PASSWORD", "MEDIA_REFERER")
"""What functions have no business with: MEDIA_REFERER opens the store to nginx alone."""

USER = "photogram"
TEST_LIMITS = {"general": [1_000_000, 60]}


def read(profile: Profile) -> dict[str, str]:
    """The settings as they stand; empty before the first `up`."""
    if not profile.env_file.is_file():
        return {}
    return dict(line.split("=", 1) for line in profile.env_file.read_text().splitlines() if "=" in line)


def write(profile: Profile) -> dict[str, str]:
    """The settings with this profile's ports; secrets that exist stay as they are."""
    found = read(profile)
    values = {name: found.get(name) or secrets.token_hex(24) for name in _SECRETS} | _addresses(profile)
    values["AWS_SECRET_ACCESS_KEY"] = values["S3_SECRET_ACCESS_KEY"]
    values["DATABASE_URL"] = _with_password(values["DATABASE_URL"], values["POSTGRES_PASSWORD"])
    values["RABBITMQ_URL"] = _with_password(values["RABBITMQ_URL"], values["RABBITMQ_PASSWORD"])
    if profile.name == "test":
        values["RATE_LIMITS"] = json.dumps(TEST_LIMITS, separators=(",", ":"))
    text = "".join(f"{name}={value}\n" for name, value in values.items())
    if not profile.env_file.is_file() or profile.env_file.read_text() != text:
        profile.env_file.touch(mode=0o600)
        profile.env_file.write_text(text)
    return values


def of_functions(values: Mapping[str, str]) -> dict[str, str]:
    """What the functions' environments get."""
    return {name: value for name, value in values.items() if name not in _STACK_ONLY}


def _addresses(profile: Profile) -> dict[str, str]:
    ports = profile.ports
    return {
        "DATABASE_URL": f"postgresql://{USER}@127.0.0.1:{ports.postgres}/photogram",
        "VALKEY_URL": f"redis://127.0.0.1:{ports.valkey}/0",
        "RABBITMQ_URL": f"amqp://{USER}@127.0.0.1:{ports.rabbitmq}/%2F",
        "CASSANDRA_HOSTS": "127.0.0.1",
        "CASSANDRA_PORT": str(ports.cassandra),
        "CASSANDRA_KEYSPACE": "instagram_dm",
        "S3_ENDPOINT_URL": f"http://127.0.0.1:{ports.minio}",
        "S3_ACCESS_KEY_ID": USER,
        "S3_BUCKET": "instagram-media",
        "LIVE_ENDPOINT_URL": f"http://127.0.0.1:{ports.live}",
        "AWS_DEFAULT_REGION": "eu-central-1",  # Lambda gives its environments these three
        "AWS_ACCESS_KEY_ID": USER,
        "MEDIA_BASE_URL": f"http://localhost:{ports.front}/media/",
        "UPLOADS_URL": f"http://localhost:{ports.front}",
        "OWN_ORIGINS": f"http://localhost:{ports.front},http://127.0.0.1:{ports.front}",
        "LOCALSTACK_HOST": f"127.0.0.1:{ports.localstack}",
        "PHOTOGRAM_URL": f"http://localhost:{ports.front}",
        "SECURE_COOKIES": "false",
        "SESSION_ABSOLUTE_DAYS": "30",
        "PROMETHEUS_MULTIPROC_DIR": str(profile.state / "metrics"),
    }


def _with_password(url: str, password: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.replace("@", f":{password}@", 1)).geturl()
