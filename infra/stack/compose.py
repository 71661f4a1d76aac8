"""The stores and nginx in Docker Compose, on machines with a Docker engine; the function hosts stay processes."""

import functools
import shutil
import subprocess
from collections.abc import Mapping

from infra.stack import fingerprints, options, programs
from infra.stack.profiles import CLONE, Profile

SERVICES = ("postgres", "valkey", "rabbitmq", "minio", "cassandra", "nginx")


def is_chosen(profile: Profile) -> bool:
    """Whether this profile's stores run in Docker.

    They do if a Docker engine with the Compose plugin answers, unless PHOTOGRAM_DOCKER is `no` or the profile already
    has data of a native PostgreSQL. The test stack is always native, because tests stop and kill single processes.
    """
    if profile.name == "test" or options.value("PHOTOGRAM_DOCKER") == "no":
        return False
    return not any(profile.state.glob("postgres-*")) and _engine_answers()


def write_variables(profile: Profile, settings: Mapping[str, str], files: Mapping[str, str]) -> None:
    """Write the variables of docker-compose.yml, and those of MinIO; `files` is the configuration of each program."""
    ports = profile.ports
    variables = {
        "STACK": profile.label,
        "STATE": str(profile.state),
        "POSTGRES_PASSWORD": settings["POSTGRES_ADMIN_PASSWORD"],
        "RABBITMQ_NODES_PORT": str(ports.rabbitmq_nodes),
        "EPMD_PORT": str(ports.epmd),
        "MINIO_PORT": str(ports.minio),
    } | {f"{program.upper()}_FILES": fingerprints.of_text(text) for program, text in files.items()}
    contents = {"compose.env": variables, "minio.env": programs.minio_variables(settings)}
    for name, values in contents.items():
        path = profile.state / name
        path.touch(mode=0o600)
        path.write_text("".join(f"{key}={value}\n" for key, value in values.items()))


def up(profile: Profile) -> None:
    """Start containers that do not run, and restart those that have changed; the caller waits until they answer."""
    _compose(profile, "up", "--detach", "--remove-orphans")


def down(profile: Profile, *, and_data: bool = False) -> None:
    """Stop the containers; with `and_data`, delete their volumes."""
    if (profile.state / "compose.env").is_file() and _engine_answers():
        _compose(profile, "down", *(["--volumes"] if and_data else []))


def _compose(profile: Profile, *arguments: str) -> None:
    files = ["--file", str(CLONE / "docker-compose.yml"), "--env-file", str(profile.state / "compose.env")]
    subprocess.run(["docker", "compose", *files, *arguments], check=True)


@functools.cache
def _engine_answers() -> bool:
    if not shutil.which("docker"):
        return False
    checks = (["docker", "info"], ["docker", "compose", "version"])
    return not any(subprocess.run(command, capture_output=True, check=False).returncode for command in checks)
