"""The faults of a run. Each is a context manager that undoes itself, and their order follows from a random number."""

import random
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import psutil
import psycopg
import psycopg.sql
import redis

from infra.stack import env_file
from infra.stack.profiles import profile
from tests.history import disks
from tests.support import services
from tests.support.proxies import Proxy
from tests.support.queues import rabbitmqctl
from tests.support.waiting import until

PARTS: Final = ("postgres", "valkey", "rabbitmq", "minio", "cassandra", "nginx", "api", "triggers")
_VALKEY_MEMORY: Final = "512mb"
"""As in infra/valkey/valkey.conf."""
_WITH_CHILDREN: Final = ("postgres", "nginx", "api", "triggers")
_TABLES: Final = ("posts", "users", "likes", "follows", "comments", "sessions")
_DELAY_MILLISECONDS: Final = (100, 1500)
_RETURN_SECONDS: Final = 120

type Begin = Callable[[], AbstractContextManager[None]]


class Fault(msgspec.Struct, frozen=True):
    """Something that goes wrong for some seconds."""

    kind: str
    part: str
    begin: Begin
    seconds: tuple[float, float]
    """The shortest and the longest time that it lasts."""

    @property
    def name(self) -> str:
        """For the report."""
        return f"{self.kind} {self.part}"


def catalogue(proxies: Mapping[str, Proxy], folders: Mapping[str, Path], chance: random.Random) -> list[Fault]:
    """All faults that are possible here."""
    kills = [Fault("kill", part, partial(_kill, part), (0, 1)) for part in PARTS]
    kills_of_children = [
        Fault("kill a process of", part, partial(_kill_child, part, chance), (0, 1)) for part in _WITH_CHILDREN
    ]
    hangs = [Fault("hang", part, partial(services.hang, part), (1, 5)) for part in PARTS]
    slow = [Fault("slow", part, partial(_slow, proxy, chance), (1.5, 4)) for part, proxy in proxies.items()]
    slow += [Fault("slow", part, partial(services.pulse, part), (1.5, 3)) for part in ("api", "triggers")]
    cuts = [Fault("cut", part, partial(_cut, proxy), (0.2, 4)) for part, proxy in proxies.items()]
    full = [Fault("full", part, partial(disks.full, folder), (1.5, 4)) for part, folder in folders.items()]
    full.append(Fault("full", "valkey", partial(_valkey, "maxmemory", "1", _VALKEY_MEMORY), (1.5, 4)))
    read_only = [
        Fault("read-only", "postgres", _read_only_postgres, (1.5, 4)),
        Fault("read-only", "valkey", partial(_valkey, "min-replicas-to-write", "1", "0"), (1.5, 4)),
    ]
    if "minio" in folders:
        read_only.append(Fault("read-only", "minio", partial(_read_only_disk, folders["minio"]), (1.5, 4)))
    locks = [Fault("lock", table, partial(_lock, table), (1.5, 4)) for table in _TABLES]
    alarms = [
        Fault("alarm", "rabbitmq memory", _memory_alarm, (1.5, 4)),
        Fault("alarm", "rabbitmq disk", _disk_alarm, (1.5, 4)),
    ]
    return [*kills, *kills_of_children, *hangs, *slow, *cuts, *full, *read_only, *locks, *alarms]


def in_turn(faults: list[Fault], chance: random.Random) -> Iterator[tuple[Fault, float]]:
    """Without end: the kinds one after the other, and of each kind every part before one comes again; with seconds."""
    kinds = list(dict.fromkeys(fault.kind for fault in faults))
    decks: dict[str, list[Fault]] = {kind: [] for kind in kinds}
    while True:
        chance.shuffle(kinds)
        for kind in kinds:
            if not decks[kind]:
                decks[kind] = [fault for fault in faults if fault.kind == kind]
                chance.shuffle(decks[kind])
            fault = decks[kind].pop()
            yield fault, chance.uniform(*fault.seconds)


def wait_for_all() -> None:
    """Return when every part runs and answers. Raises `AssertionError` after 120 s."""
    until(_all_answer, seconds=_RETURN_SECONDS, every=0.2)


def undo_all() -> None:
    """Undo what may be left of a run that was killed: settings of stores that outlive it."""
    _set_read_only(is_on=False)
    with redis.Redis.from_url(_settings()["VALKEY_URL"]) as valkey:
        valkey.config_set("maxmemory", _VALKEY_MEMORY)
        valkey.config_set("min-replicas-to-write", "0")


def _all_answer() -> bool:
    return services.running() >= set(PARTS) and all(services.answers(part) for part in PARTS)


def _settings() -> dict[str, str]:
    return env_file.for_administration(env_file.read(profile("test")))


@contextmanager
def _kill(part: str) -> Iterator[None]:
    services.process(part).kill()
    yield


@contextmanager
def _kill_child(part: str, chance: random.Random) -> Iterator[None]:
    children = services.process(part).children(recursive=True)
    with suppress(psutil.NoSuchProcess):
        children[int(chance.random() * len(children))].kill()
    yield


@contextmanager
def _slow(proxy: Proxy, chance: random.Random) -> Iterator[None]:
    try:
        proxy.delay(chance.randint(*_DELAY_MILLISECONDS))
        yield
    finally:
        proxy.pass_on()


@contextmanager
def _cut(proxy: Proxy) -> Iterator[None]:
    try:
        proxy.close()
        yield
    finally:
        proxy.open()


@contextmanager
def _valkey(setting: str, bad: str, good: str) -> Iterator[None]:
    """Valkey refuses all writes."""
    with redis.Redis.from_url(_settings()["VALKEY_URL"]) as valkey:
        try:
            valkey.config_set(setting, bad)
            yield
        finally:
            valkey.config_set(setting, good)


@contextmanager
def _read_only_postgres() -> Iterator[None]:
    try:
        _set_read_only(is_on=True)
        yield
    finally:
        _set_read_only(is_on=False)


def _set_read_only(*, is_on: bool) -> None:
    with psycopg.connect(_settings()["DATABASE_URL"], autocommit=True) as db:
        db.execute("SET default_transaction_read_only = off")
        if is_on:
            db.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        else:
            db.execute("ALTER SYSTEM RESET default_transaction_read_only")
        db.execute("SELECT pg_reload_conf()")


@contextmanager
def _read_only_disk(folder: Path) -> Iterator[None]:
    """The file system of a store, as soon as the store has no file open for writing."""

    def remount(option: str) -> bool:
        command = ["mount", "-o", f"remount,{option}", str(folder)]
        return not subprocess.run(command, check=False, capture_output=True).returncode

    try:
        until(lambda: remount("ro"), every=0.01)
        yield
    finally:
        until(lambda: remount("rw"))


@contextmanager
def _lock(table: str) -> Iterator[None]:
    with psycopg.connect(_settings()["DATABASE_URL"]) as db:
        db.execute(psycopg.sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(psycopg.sql.Identifier(table)))
        yield
        db.rollback()


@contextmanager
def _memory_alarm() -> Iterator[None]:
    try:
        rabbitmqctl("set_vm_memory_high_watermark", "0.0001")
        yield
    finally:
        rabbitmqctl("set_vm_memory_high_watermark", "absolute", "512MB")


@contextmanager
def _disk_alarm() -> Iterator[None]:
    try:
        rabbitmqctl("set_disk_free_limit", "1000GB")
        yield
    finally:
        rabbitmqctl("set_disk_free_limit", "200MB")
