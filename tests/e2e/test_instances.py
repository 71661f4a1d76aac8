"""What the three API instances have in common, and what happens when one of them is lost or replaced."""

import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import psutil
import pytest

from infra.stack.profiles import profile
from layers.postgres import users
from layers.postgres.connection import transaction
from tests.pictures import phone_photo
from tests.support import services
from tests.support.http import PASSWORD, Caller
from tests.support.stack import ROOT
from tests.support.waiting import until

INSTANCES = [f"http://localhost:{port}/api/v1" for port in profile("test").ports.api]


def _statuses(caller: Caller) -> list[int]:
    """What each instance answers to the caller's cookie, for a list that needs no more than a session."""
    return [caller.http.get(f"{instance}/users/me/saved").status_code for instance in INSTANCES]


@pytest.mark.rule("R-A3")
@pytest.mark.parametrize("instance", range(len(INSTANCES)))
def test_logout_on_one_instance_ends_the_session_on_all(instance: int) -> None:
    ada = Caller("ada")
    session_id = ada.http.cookies["session_id"]
    assert _statuses(ada) == [200, 200, 200]
    assert ada.http.post(f"{INSTANCES[instance]}/auth/logout").status_code == 200
    ada.http.cookies.set("session_id", session_id)

    assert _statuses(ada) == [401, 401, 401]


@pytest.mark.rule("R-A3")
@pytest.mark.parametrize("instance", range(len(INSTANCES)))
def test_a_ban_on_one_instance_ends_the_sessions_on_all(instance: int) -> None:
    ada, admin = Caller("ada"), Caller("admin")
    with transaction() as db:
        users.grant(db, username=admin.username, role="admin")
    admin.http.post("/auth/login", json={"username": admin.username, "password": PASSWORD}).raise_for_status()
    assert _statuses(ada) == [200, 200, 200]
    assert admin.http.delete(f"{INSTANCES[instance]}/admin/users/{ada.id}").status_code == 200

    assert _statuses(ada) == [401, 401, 401]


class Load:
    """Requests that several clients send without a pause, through nginx: some read, others save posts."""

    def __init__(self) -> None:
        self.writers, self.readers = ([Caller(name) for _ in range(4)] for name in ("writer", "reader"))
        self._posts = [self.writers[0].upload(phone_photo(width=200, height=200))["post_id"] for _ in range(2)]
        until(lambda: all(self.writers[0].published(post) for post in self._posts))
        self.read: list[int] = []
        self.written: list[int] = []
        self.expected: dict[str, set[str]] = {}
        """The posts that each writer has saved, by its name, as far as its requests were acknowledged."""
        self._is_over = threading.Event()

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Send requests during the context."""
        with ThreadPoolExecutor(8) as threads:
            sent = [threads.submit(self._write, writer) for writer in self.writers]
            sent += [threads.submit(self._read, reader) for reader in self.readers]
            try:
                yield
            finally:
                self._is_over.set()
            for each in sent:
                each.result()

    def saved(self) -> dict[str, set[str]]:
        """The posts that each writer has saved, by its name."""
        return {
            writer.username: {post["id"] for post in writer.http.get("/users/me/saved").json()["posts"]}
            for writer in self.writers
        }

    def _write(self, writer: Caller) -> None:
        """Save one post after the other and take them back; each is repeated until it is acknowledged."""
        saved = self.expected[writer.username] = set()
        while not self._is_over.is_set():
            for post in self._posts:
                method, status = "DELETE" if post in saved else "POST", 0
                while status != 200:
                    status = _status(writer.http, method, f"/posts/{post}/save")
                    self.written.append(status)
                saved ^= {post}

    def _read(self, reader: Caller) -> None:
        while not self._is_over.is_set():
            self.read.append(_status(reader.http, "GET", "/users/me/saved"))


def _status(http: httpx.Client, method: str, path: str) -> int:
    """The status of the answer; 0 if there was none."""
    try:
        return http.request(method, path).status_code
    except httpx.TransportError:
        return 0


def _hosts(kind: str) -> list[psutil.Process]:
    """The processes of the hosts of a kind, which write logs of this name."""
    return [each for each in services.hosts() if any(f"/{kind}-" in file.path for file in each.open_files())]


def test_a_killed_host_loses_no_more_than_the_request_in_its_hands() -> None:
    load, kills = Load(), 4
    with load.flowing():
        for number in range(kills):
            for kind in ("reader", "writer"):
                hosts = _hosts(kind)
                hosts[number % len(hosts)].kill()
                threading.Event().wait(0.5)

    assert len([status for status in load.written if status != 200]) <= kills
    assert set(load.read) == {200}
    assert load.saved() == load.expected


def test_other_users_of_the_machine_cannot_connect_to_the_hosts() -> None:
    sockets = [path for paths in profile("test").sockets.values() for path in paths]

    assert all(path.is_socket() for path in sockets)
    assert not any(stat.S_IMODE(path.stat().st_mode) & stat.S_IRWXO for path in (sockets[0].parent, *sockets))


def test_a_restart_refuses_no_request() -> None:
    load, before = Load(), services.hosts()
    with load.flowing():
        command = [sys.executable, "-m", "infra.stack", "restart", "--profile", "test"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "hosts were replaced" in done.stdout
    assert before
    assert not any(each.is_running() for each in before)
    assert set(load.read) == set(load.written) == {200}
    assert min(len(load.read), len(load.written)) > 100
    assert load.saved() == load.expected
