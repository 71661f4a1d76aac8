"""The stores under Docker Compose, for machines with an engine; the function hosts run as they do without."""

import functools
import os
import shutil
import subprocess
from collections.abc import Mapping

from infra.stack import programs
from infra.stack.profiles import CLONE, Profile

SERVICES = ("postgres", "valkey", "rabbitmq", "minio", "cassandra", "nginx")


def is_chosen(profile: Profile) -> bool:
    """Whether this profile's stores run under Docker: where an engine and its compose plugin answer, unless
    PHOTOGRAM_DOCKER=no says otherwise or the profile has native data already.

    The test stack is always native: tests stop and kill its parts one by one, by their processes.
    """
    if profile.name == "test" or os.environ.get("PHOTOGRAM_DOCKER") == "no":
        return False
    return not any(profile.state.glob("postgres-*")) and _engine_answers()


def write_settings(profile: Profile, environment: Mapping[str, str], files: Mapping[str, str]) -> None:
    """What docker-compose.yml fills in, `files` being each part's configuration, and MinIO's own settings."""
    ports = profile.ports
    settings = {
        "STACK": profile.label,
        "STATE": str(profile.state),
        "POSTGRES_PASSWORD": environment["POSTGRES_PASSWORD"],
        "RABBITMQ_NODES_PORT": str(ports.rabbitmq_nodes),
        "EPMD_PORT": str(ports.epmd),
        "MINIO_PORT": str(ports.minio),
    } | {f"{part.upper()}_FILES": programs.fingerprint(text) for part, text in files.items()}
    written = {"compose.env": settings, "minio.env": programs.minio_environment(environment)}
    for name, values in written.items():
        path = profile.state / name
        path.touch(mode=0o600)
        path.write_text("".join(f"{key}={value}\n" for key, value in values.items()))


def up(profile: Profile) -> None:
    """Start what does not run, and start anew what has changed; the caller waits for the parts to answer."""
    _compose(profile, "up", "--detach", "--remove-orphans")


def down(profile: Profile, *, and_data: bool = False) -> None:
    """Stop the containers; with `and_data` their volumes go too."""
    if (profile.state / "compose.env").is_file() and _engine_answers():
        _compose(profile, "down", *(["--volumes"] if and_data else []))


def _compose(profile: Profile, *arguments: str) -> None:
    files = ["--file", str(CLONE / "docker-compose.yml"), "--env-file", str(profile.state / "compose.env")]
    subprocess.run(["docker", "compose", *files, *arguments], check=True)


@functools.cache
def _engine_answers() -> bool:
    if not shutil.which("docker"):
        return False
    asked = (["docker", "info"], ["docker", "compose", "version"])
    return not any(subprocess.run(command, capture_output=True, check=False).returncode for command in asked)
