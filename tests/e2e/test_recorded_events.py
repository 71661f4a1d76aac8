"""From a real request to its repetition: `make events`, and `make invoke` with `EVENT=last`."""

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from infra.events import recorded
from infra.events.recorded import Recording
from infra.stack.profiles import profile
from tests.pictures import phone_photo
from tests.support.http import PASSWORD, Caller, nginx_origin
from tests.support.stack import ROOT
from tests.support.waiting import until

FOLDER: Final = profile("test").recordings
_SECONDS: Final = 60
_LINK: Final = re.compile(r"/media/[^/]+/\d+/")


def _run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *arguments, "--profile", "test"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=_SECONDS)


def _recorded(function: str, trace_id: str) -> Recording | None:
    return next((each for each in recorded.list_events(FOLDER, function) if each.trace_id == trace_id), None)


def _body(printed: str) -> Any:
    """The body of a printed result, without the signatures of links."""
    return json.loads(_LINK.sub("/media/", printed))["body"]


def test_a_request_is_listed_and_repeated_by_the_same_account_with_the_same_answer() -> None:
    caller, name = Caller(), "auth/get_me"
    answer = caller.http.get("/auth/me", headers={"x-trace-id": caller.username})
    found = until(lambda: _recorded(name, caller.username))

    listed = _run("infra.invoke.recordings", name)
    shown = _run("infra.invoke.recordings", name, "--show", found.id)
    repeated = _run("infra.invoke", name, found.id)

    assert (found.host, found.status) == ("http", "200")
    [line] = [line for line in listed.stdout.splitlines() if line.startswith(found.id)]
    assert line.split()[-4:] == ["http", "200", str(found.duration_ms), caller.username]
    assert json.loads(shown.stdout) == found.event
    assert repeated.returncode == 0, repeated.stderr
    assert _body(repeated.stdout) == answer.json()


def test_last_is_the_newest_event_also_when_it_failed() -> None:
    caller, name = Caller(), "users/get_profile"
    caller.http.get(f"/users/{caller.username}").raise_for_status()
    refused = caller.http.get("/users/nobody-at-all", headers={"x-trace-id": caller.username})
    until(lambda: _recorded(name, caller.username))

    repeated = _run("infra.invoke", name, "last")

    assert _body(repeated.stdout) == refused.json()
    assert json.loads(repeated.stdout)["statusCode"] == refused.status_code == 404
    assert repeated.returncode == 1


def test_a_photo_is_recorded_by_the_queue_and_its_message_can_be_repeated() -> None:
    caller, name = Caller(), "images/resize_photo"
    post_id = caller.upload(phone_photo())["post_id"]
    until(lambda: caller.published(post_id), seconds=60)
    until(lambda: any(each.host == "queue" for each in recorded.list_events(FOLDER, name)))

    repeated = _run("infra.invoke", name, "last")

    assert repeated.returncode == 0, repeated.stderr
    assert "END     images/resize_photo: done" in repeated.stderr


def test_schedules_are_recorded() -> None:
    until(lambda: recorded.list_events(FOLDER, "posts/sweep_posts"), seconds=90)
    [found, *_] = recorded.list_events(FOLDER, "posts/sweep_posts")

    assert (found.host, found.status) == ("schedule", "done")
    assert found.event["detail-type"] == "Scheduled Event"


def test_a_live_connection_is_recorded_and_opened_again_by_the_same_account() -> None:
    caller, name = Caller(), "live/connect"
    headers = {"origin": nginx_origin(), "user-agent": caller.username}

    async def connect() -> None:
        cookies = dict(caller.http.cookies)
        jar = aiohttp.CookieJar(unsafe=True)
        async with (
            aiohttp.ClientSession(cookies=cookies, cookie_jar=jar) as session,
            session.ws_connect(f"{nginx_origin()}/live", headers=headers),
        ):
            pass

    asyncio.run(connect())

    def find() -> Recording | None:
        events = recorded.list_events(FOLDER, name)
        return next((each for each in events if caller.username in json.dumps(each.event)), None)

    found = until(find)
    repeated = _run("infra.invoke", name, found.id)

    assert (found.host, found.status) == ("live", "200")
    assert f"session_id=[session of {caller.id}]" in found.event["headers"].values()
    assert repeated.returncode == 0, repeated.stderr


@pytest.mark.rule("R-A6")
def test_the_files_hold_no_session_password_address_or_signature() -> None:
    caller = Caller()
    session = caller.http.cookies["session_id"]
    trace_id = caller.username
    caller.http.post("/auth/login", json={"username": f"{trace_id}@example.org", "password": PASSWORD})
    explored = caller.http.get("/feed/explore").text
    uploads = caller.http.post("/posts/uploads", json={"files": [{"size": 1, "type": "image/jpeg"}]}).json()["uploads"]
    caller.http.get("/auth/me", headers={"x-trace-id": trace_id})
    until(lambda: _recorded("auth/get_me", trace_id))

    signature = uploads[0]["url"].partition("X-Amz-Signature=")[2]
    secrets = [session, PASSWORD, f"{trace_id}@", signature, *re.findall(r"/media/([^/]+)/\d+/", explored)]
    kept = [file.read_text() for file in FOLDER.rglob("*.json")]

    assert any(trace_id in text for text in kept)
    assert [secret for secret in secrets if not secret or any(secret in text for text in kept)] == []
    assert {file.stat().st_mode & 0o777 for file in FOLDER.rglob("*.json")} == {0o600}
    assert Path(FOLDER).stat().st_mode & 0o777 == 0o700
