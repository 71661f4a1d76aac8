"""Hosts that serve the current code after each edit."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from layers.core.events import ProfileUpdated
from layers.core.ids import new_id
from layers.core.models import Time
from tests.support.hosts import Host, answer, client_of, copy_of_the_code, serving_two
from tests.support.queues import publish
from tests.support.stores import read_profile
from tests.support.waiting import until

LIVE = Path("functions/health/get_live.py")
CLOCK = Path("layers/core/clock.py")


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A copy of the code."""
    return copy_of_the_code(tmp_path)


@contextmanager
def two_hosts(folder: Path, code: Path) -> Iterator[tuple[Host, list[Path]]]:
    with serving_two(folder, "--reload", code=code) as (host, sockets):
        yield host, sockets


def edit(file: Path, old: str, new: str) -> None:
    file.write_text(file.read_text().replace(old, new))


def wait_for(sockets: list[Path], text: str) -> None:
    """Until both hosts answer with this text."""
    until(lambda: all(text in (answer(path) or "") for path in sockets), seconds=60)


def test_a_handler_is_reloaded_though_its_edits_follow_quickly(tmp_path: Path, code: Path) -> None:
    with two_hosts(tmp_path, code) as (_, sockets):
        for number in range(10):
            edit(code / LIVE, '"alive"' if number == 0 else f'"edit {number - 1}"', f'"edit {number}"')
            threading.Event().wait(0.2)

        wait_for(sockets, "edit 9")


def test_an_edit_while_everything_is_imported_again_is_not_lost(tmp_path: Path, code: Path) -> None:
    with two_hosts(tmp_path, code) as (host, sockets):
        edit(code / CLOCK, "from datetime", "# edited\nfrom datetime")
        until(lambda: f"changed: {CLOCK}" in host.log)
        edit(code / LIVE, '"alive"', '"edited"')

        wait_for(sockets, "edited")


def test_no_request_is_refused_meanwhile(tmp_path: Path, code: Path) -> None:
    with two_hosts(tmp_path, code) as (_, sockets), ThreadPoolExecutor(2) as threads:
        is_over = threading.Event()
        asked = [threads.submit(ask_until, is_over, path) for path in sockets]
        try:
            edit(code / LIVE, '"alive"', '"handler"')
            wait_for(sockets, "handler")
            edit(code / LIVE, '"handler"', '"layer"')
            edit(code / CLOCK, "from datetime", "# edited\nfrom datetime")
            wait_for(sockets, "layer")
        finally:
            is_over.set()
        answers = [text for each in asked for text in each.result()]

    assert None not in answers
    assert all(any(status in (text or "") for text in answers) for status in ("alive", "handler"))


def ask_until(is_over: threading.Event, path: Path) -> list[str | None]:
    """Answers; nginx asks a second time, because a host that ends closes its connections."""
    answers = []
    while not is_over.wait(0.02):
        answers.append(answer(path) or answer(path))
    return answers


def test_a_handler_that_cannot_be_imported_answers_with_its_error_until_it_is_mended(
    tmp_path: Path, code: Path
) -> None:
    source = (code / LIVE).read_text()
    with two_hosts(tmp_path, code) as (host, sockets):
        (code / LIVE).write_text("this is no valid Python")
        wait_for(sockets, "SyntaxError")
        assert "SyntaxError" in host.log
        with client_of(sockets[0]) as client:
            assert client.get("/api/health").status_code == 200

        (code / LIVE).write_text(source)
        wait_for(sockets, "alive")


def test_a_layer_that_cannot_be_imported_is_the_answer_of_every_function_until_it_is_mended(
    tmp_path: Path, code: Path
) -> None:
    source = (code / CLOCK).read_text()
    with two_hosts(tmp_path, code) as (host, sockets):
        (code / CLOCK).write_text(f"{source}\nraise ValueError('no clock')\n")
        wait_for(sockets, "no clock")
        assert "no clock" in host.log
        with client_of(sockets[0]) as client:
            refused = client.post("/api/auth/login", json={"username": "ada"})
        assert (refused.status_code, refused.headers["content-type"]) == (500, "application/problem+json")

        (code / CLOCK).write_text(source)
        wait_for(sockets, "alive")


def test_code_that_is_broken_at_the_start_is_served_when_it_is_mended(tmp_path: Path, code: Path) -> None:
    source = (code / CLOCK).read_text()
    (code / CLOCK).write_text("this is no valid Python")
    with two_hosts(tmp_path, code) as (_, sockets):
        (code / CLOCK).write_text(source)

        wait_for(sockets, "alive")


def test_what_watches_is_replaced_when_it_ends(tmp_path: Path, code: Path) -> None:
    with two_hosts(tmp_path, code) as (host, sockets):
        watching, _ = psutil.Process(host.process.pid).children()
        watching.kill()
        until(lambda: host.log.count("the code is watched") == 2, seconds=60)
        edit(code / LIVE, '"alive"', '"edited"')

        wait_for(sockets, "edited")


def test_the_queue_consumer_runs_the_current_code_and_loses_no_message(tmp_path: Path, code: Path) -> None:
    command = [sys.executable, "-m", "infra.local.run_triggers", "--reload"]
    log = tmp_path / "log"
    with log.open("w") as output:
        environment = {**os.environ, "PYTHONPATH": str(code)}
        process = subprocess.Popen(command, cwd=code, env=environment, stdout=output, stderr=output)
    try:
        first, marker = profile_updated(), tmp_path / "seen"
        publish(ProfileUpdated.queue, first)
        until(lambda: read_profile(first.user_id), seconds=60)
        edit(
            code / "functions/users/copy_profile.py",
            "\n\n\n",
            f"\nfrom pathlib import Path\nPath({str(marker)!r}).touch()\n",
        )
        later: list[ProfileUpdated] = []

        def is_edited_code_running() -> bool:
            later.append(profile_updated())
            publish(ProfileUpdated.queue, later[-1])
            return marker.exists()

        until(is_edited_code_running, seconds=60, every=0.2)
        until(lambda: all(read_profile(each.user_id) for each in later), seconds=30)
    finally:
        process.terminate()
        assert process.wait(40) == 0, log.read_text()


def profile_updated() -> ProfileUpdated:
    return ProfileUpdated(
        user_id=new_id(),
        username="ada",
        display_name="Ada",
        profile_picture_url=None,
        updated_at=Time("2026-11-23T10:00:00.000Z"),
    )
