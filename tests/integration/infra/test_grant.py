"""Granting roles."""

import subprocess
import sys
from pathlib import Path

import pytest

from functions.stories import view_story
from infra.grant import grant
from layers.core.errors import UserNotFound
from layers.core.models import Role
from layers.postgres import users
from layers.postgres.connection import transaction
from tests.support.calls import call
from tests.support.people import Person, new_person
from tests.support.stories import new_story

ROOT = Path(__file__).parents[3]


def _role(person: Person) -> Role:
    with transaction() as db:
        return users.read_self(db, user_id=person.id).role


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "infra.grant", *arguments]
    return subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)


def test_who_is_signed_in_has_the_new_role_with_the_next_request_and_stays_signed_in(ada: Person) -> None:
    story_id = new_story(new_person("shy", private=True))

    def status() -> int:
        return call(view_story, session_id=ada.session_id, path={"story_id": story_id}).status

    assert status() == 404
    for role, seen in (("admin", 200), ("verified", 404), ("admin", 200), ("user", 404)):
        granted = grant(username=ada.username, role=role)  # type: ignore[arg-type]
        assert granted.reached_valkey
        assert status() == seen


def test_no_revocation_is_left_for_valkey(ada: Person) -> None:
    grant(username=ada.username, role="verified")

    with transaction() as db:
        assert db.execute("SELECT FROM revocations WHERE user_id = %s", [ada.id]).fetchone() is None


def test_the_command_prints_what_it_did(ada: Person) -> None:
    done = _run("--user", f" {ada.username.upper()}", "--role", "verified")

    assert (done.returncode, done.stderr) == (0, "")
    assert f"{ada.username} has the role verified" in done.stdout
    assert _role(ada) == "verified"


@pytest.mark.parametrize("username", ["nobody_has_this_name", "no name", ""])
def test_an_unknown_account_is_an_error_that_names_it(username: str) -> None:
    with pytest.raises(UserNotFound):
        grant(username=username, role="admin")
    done = _run("--user", username, "--role", "admin")

    assert done.returncode == 1
    assert done.stderr == f"{username}: There is no such user.\n"


def test_an_unknown_role_is_an_error_that_lists_the_known_ones(ada: Person) -> None:
    done = _run("--user", ada.username, "--role", "king")

    assert done.returncode == 2
    assert "verified" in done.stderr
    assert _role(ada) == "user"
