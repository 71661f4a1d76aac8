"""The two sides: how each is started and stopped, its processes, and its caches."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

import msgspec
import redis

from infra.stack import env_file, pins, supervision
from infra.stack.profiles import profile
from tests.bench.original.machine import Programs
from tests.support.limits import NO_LIMIT, unlimited
from tests.support.stack import ROOT

_SERVICES: Final = Path(__file__).with_name("services.sh")
_BATCH: Final = 1000


class Side(Protocol):
    """A stack that answers the load."""

    name: str
    url: str
    headers: Mapping[str, str]
    """Of every request."""

    def start(self) -> None:
        """Start everything and wait until it answers."""

    def stop(self) -> None:
        """Stop everything; the data are kept."""

    def clean(self) -> None:
        """Delete the data; nothing runs."""

    def programs(self) -> Programs:
        """The processes of each program that runs."""

    def empty_caches(self) -> None:
        """Forget what was kept of posts and feeds; sessions stay."""


class Ours:
    """This repository's stack: the profile `run` with data of its own and without rate limits."""

    name = "ours"
    headers: Mapping[str, str] = {}

    def __init__(self, folder: Path) -> None:
        base = profile("run")
        self._profile = msgspec.structs.replace(base, state=folder / base.state.name)
        self.url = f"http://127.0.0.1:{base.ports.nginx}"
        self._environment = {**os.environ, "PHOTOGRAM_STATE": str(folder), "RATE_LIMITS": unlimited()}

    def start(self) -> None:
        """Start the stack."""
        self._run("up")

    def stop(self) -> None:
        """Stop the stack."""
        self._run("down")

    def clean(self) -> None:
        """Delete the stack's data."""
        self._run("clean", "--yes")

    def programs(self) -> Programs:
        """Supervisord and its programs."""
        supervisord = supervision.connect(self._profile)
        found = {"supervisord": [supervisord.getPID()]}
        for process in supervisord.getAllProcessInfo():
            if process["pid"]:
                found.setdefault(process["group"], []).append(process["pid"])
        return found

    def empty_caches(self) -> None:
        """Delete what Valkey holds, but for sessions."""
        url = env_file.read(self._profile)["VALKEY_URL"]
        with redis.Redis.from_url(url) as valkey:
            _forget(valkey, [b"*"], but=(b"session:", b"sessions:"))

    def _run(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "infra.stack", *arguments, "--profile", "run"]
        subprocess.run(command, cwd=ROOT, env=self._environment, check=True)


class Reference:
    """The original's own server, built in a folder (README.md)."""

    name = "reference"
    url = "http://127.0.0.1:4301"
    headers: Mapping[str, str] = {"X-Forwarded-Proto": "https"}
    """Its cookies are for HTTPS only."""

    def __init__(self, folder: Path) -> None:
        if not (folder / "instagram/backend/dist").is_dir():
            sys.exit(f"{folder} holds no built reference server: see tests/bench/original/README.md")
        self._folder = folder
        self._environment = {
            **os.environ,
            "REFERENCE_DIR": str(folder),
            "CASSANDRA_JARS": str(pins.cassandra()),
            "MINIO_BIN": str(pins.minio()),
            "BENCH_PYTHON": sys.executable,
            "RATE_LIMIT_MULT": str(NO_LIMIT),
            "CASSANDRA_SYNC": os.environ.get("CASSANDRA_SYNC", "group"),
        }

    def start(self) -> None:
        """Start the services."""
        self._run("start")

    def stop(self) -> None:
        """Stop the services."""
        self._run("stop")

    def clean(self) -> None:
        """Delete the services' data."""
        self._run("clean")

    def programs(self) -> Programs:
        """The services that run, by their pid files."""
        files = sorted((self._folder / "run").glob("*.pid"))
        return {file.stem: [int(file.read_text())] for file in files}

    def empty_caches(self) -> None:
        """Delete cached feeds, posts and timelines."""
        with redis.Redis(port=6390) as store:
            _forget(store, [b"feed:*", b"post:*", b"timeline:*"], but=())

    def _run(self, verb: str) -> None:
        subprocess.run([str(_SERVICES), verb], env=self._environment, check=True, stdout=subprocess.DEVNULL)


def _forget(store: redis.Redis, patterns: list[bytes], *, but: tuple[bytes, ...]) -> None:
    for pattern in patterns:
        found = [key for key in store.scan_iter(pattern, count=_BATCH) if not key.startswith(but)]
        for start in range(0, len(found), _BATCH):
            store.unlink(*found[start : start + _BATCH])
