"""The `make invoke` and `make events` of the documents, run as they are written."""

import json
from collections.abc import Iterator

import httpx
import pytest

from infra import demo
from infra.events import recorded
from infra.stack.profiles import profile
from tests.support.commands import invoke_commands, run
from tests.support.http import nginx_origin
from tests.support.samples import restore_demo
from tests.support.waiting import until


@pytest.fixture(scope="module", autouse=True)
def feed_of_ada() -> Iterator[None]:
    """The demo, and requests whose events are recorded."""
    demo.create(nginx_origin())
    with httpx.Client(base_url=f"{nginx_origin()}/api/v1", timeout=30) as ada:
        ada.post("/auth/login", json={"username": "ada", "password": demo.PASSWORD}).raise_for_status()
        posts = ada.get("/feed").raise_for_status().json()["posts"]
        ada.post(f"/posts/{posts[0]['id']}/like").raise_for_status()
    for name in ("feed/get_feed", "posts/like_post"):
        until(lambda name=name: recorded.list_events(profile("test").recordings, name))  # type: ignore[misc]
    yield
    restore_demo()


@pytest.mark.parametrize("command", invoke_commands(in_localstack=False))
def test_a_command_of_the_documents_succeeds(command: str) -> None:
    done = run(command)

    assert done.returncode == 0, done.stderr


def test_a_path_variable_may_come_from_make_or_the_environment() -> None:
    for command in (
        "make invoke FN=users/get_profile PATH_user=linus",
        "PATH_user=linus make invoke FN=users/get_profile",
    ):
        assert json.loads(run(command).stdout)["body"]["user"]["username"] == "linus"


def test_a_failed_invocation_fails_the_command() -> None:
    refused = run("make invoke FN=users/get_profile PATH_user=no-such-account")
    wrong = run("make invoke FN=users/get_profile PATH_post=1")

    assert "END     users/get_profile: 404" in refused.stderr
    assert "Error 1" in refused.stderr
    assert "has no variable post. It has user." in wrong.stderr
    assert "Error 2" in wrong.stderr


def test_a_sample_can_be_sent_by_anyone_or_nobody() -> None:
    as_grace = run("make invoke FN=auth/get_me WHO=grace")
    as_nobody = run("make invoke FN=auth/get_me WHO=anonymous")

    assert json.loads(as_grace.stdout)["body"]["user"]["username"] == "grace"
    assert json.loads(as_nobody.stdout)["statusCode"] == 401
