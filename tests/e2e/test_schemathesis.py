"""What Schemathesis sends by the API's description, anonymously, as a user and as an admin: no server error,
and no answer has a status, a type or a form that is not described.

Each operation gets its examples, the bounds of each of its parameters and fields, and PHOTOGRAM_EXAMPLES random
requests of a fixed seed (`make schemathesis`: ten times as many), half of them to things that exist.
"""

import json
import os
import secrets
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final
from uuid import UUID

import msgspec
import pytest
import requests
import schemathesis
from hypothesis import strategies
from requests.adapters import HTTPAdapter
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.transport.serialization import Binary

from infra.demo import MEMBERS
from infra.openapi import document
from layers.cassandra import conversations, message_ids, messages
from layers.core.ids import new_id
from layers.core.models import Role
from layers.postgres import comments, follows
from layers.postgres.connection import transaction
from tests.pictures import jpeg, of_type
from tests.support.feed_posts import publish_post
from tests.support.http import PASSWORD, Caller, nginx_origin
from tests.support.messages import store
from tests.support.people import new_person
from tests.support.stories import new_story

type Case = schemathesis.Case[Any]

LOGIN: Final = "POST /api/v1/auth/login"
REGISTER: Final = "POST /api/v1/auth/register"
CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
CONFIG: Final = {
    "generation": {
        "deterministic": True,
        "max-examples": int(os.environ.get("PHOTOGRAM_EXAMPLES", "25")),
        "no-shrink": True,
        "with-security-parameters": False,
    },
    "phases": {"coverage": {"unexpected-methods": ["patch", "trace"]}},
}
API = schemathesis.openapi.from_dict(
    json.loads(document.FILE.read_text()), config=schemathesis.Config.from_dict(CONFIG)
)
_TAKEN: Final = {member.username for member in MEMBERS}
_FILES: Final = (jpeg(60, 40), of_type("png"), of_type("webp"), jpeg(60, 40)[:200], b"GIF89a", b"")

schemathesis.openapi.format("binary", strategies.sampled_from([Binary(file) for file in _FILES]))


class Tally(msgspec.Struct):
    """What was sent and what came back."""

    phases: Counter[str] = msgspec.field(default_factory=Counter)
    statuses: Counter[int] = msgspec.field(default_factory=Counter)
    answered_well: set[str] = msgspec.field(default_factory=set)
    started: float = msgspec.field(default_factory=time.monotonic)


class Account:
    """Who calls: an account and an address, others once a limit is reached or the session is over."""

    def __init__(self, role: Role | None, addresses: Iterator[str]) -> None:
        self.role = role
        self._addresses = addresses
        self._author = new_person("author")
        self._credentials = {"username": Caller("known").username, "password": PASSWORD}
        self._http = requests.Session()
        self._http.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.change()

    def change(self) -> None:
        """Another account of that role."""
        self._person = new_person("caller", role=self.role or "user", private=True)
        self._http.close()
        self._http.mount("http://", _From(next(self._addresses)))

    def leave(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(self, case: Case) -> schemathesis.Response:
        """The answer to a case."""
        cookies = {"session_id": self._person.session_id} if self.role else {}
        base = nginx_origin().replace("localhost", "127.0.0.1")  # the address family of those that are called from
        return case.call(base_url=base, session=self._http, cookies=cookies, timeout=30)

    def is_spent(self, case: Case, status: int) -> bool:
        """Whether the answer says more of the caller than of the case."""
        lost_session = status == HTTPStatus.UNAUTHORIZED and self.role is not None and case.operation.label != LOGIN
        return lost_session or status == HTTPStatus.TOO_MANY_REQUESTS

    def name_what_exists(self, case: Case) -> None:
        """Point half of the requests at things that exist: new ones, since some requests remove them."""
        if zlib.crc32(repr((case.path_parameters, case.query, case.headers)).encode()) % 2:
            return
        for name, given in case.path_parameters.items():
            if name == "message_id" and (talk := _id_of(case.path_parameters["conversation_id"])):
                case.path_parameters[name] = self._message(talk)
            elif _is_sound(given):
                case.path_parameters[name] = self._existing(name, case.operation.path)
        if case.operation.label == LOGIN and isinstance(case.body, dict):
            case.body = {**self._credentials}
        if case.operation.label == REGISTER and isinstance(case.body, dict):
            name = f"new_{secrets.token_hex(5)}"
            case.body |= {"username": name, "email": f"{name}@example.org", "password": PASSWORD}
        if isinstance(case.body, dict):
            self._name_people(case.body, _id_of(case.path_parameters.get("conversation_id")))

    def _name_people(self, body: dict[str, Any], conversation_id: UUID | None) -> None:
        """People and messages that a body names."""
        if "recipientId" in body:
            body["recipientId"] = str(new_person("other").id)
        if "userIds" in body:
            body["userIds"] = [str(new_person("other").id) for _ in range(2)]
        if "lastMessageId" in body and conversation_id:
            body["lastMessageId"] = self._message(conversation_id)

    def leave_names_free(self, case: Case) -> None:
        """Do not register the names of the demo's accounts, which are examples in the description."""
        body: Any = case.body
        registers = case.operation.label == REGISTER and isinstance(body, dict)
        if registers and str(body.get("username")).strip().lower() in _TAKEN:
            body["username"] = self._author.username

    def _existing(self, name: str, path: str) -> str:
        match name:
            case "post_id":
                return str(publish_post(self._author))
            case "comment_id":
                return str(self._comment())
            case "story_id":
                return str(new_story(self._author))
            case "conversation_id":
                return str(self._talk(is_group="/groups/" in path))
        other = new_person("other")
        if "follow-requests" in path:
            with transaction() as db:
                follows.follow(db, follower_id=other.id, target_id=self._person.id)
        return str(other.id)

    def _talk(self, *, is_group: bool) -> UUID:
        others = [new_person("other").id for _ in range(2)]
        if not is_group:
            return conversations.open_pair(self._person.id, others[0]).id
        group_id = new_id()
        conversations.open_group(group_id, name="Hikers", user_ids=[self._person.id, *others])
        return group_id

    def _message(self, conversation_id: UUID) -> str:
        message_id = message_ids.from_id(new_id())
        said = messages.StoredMessage(
            message_id=message_id,
            sender_id=self._person.id,
            content="Hello",
            content_type="text",
            media_url=None,
            reply_to_id=None,
        )
        store(conversation_id, said)
        return str(message_id)

    def _comment(self) -> UUID:
        post_id, author = publish_post(self._author), self._author.viewer
        with transaction() as db:
            added = comments.add(
                db, comment_id=new_id(), post_id=post_id, parent_id=None, content="Lovely", viewer=author
            )
        return added.comment.id


class _From(HTTPAdapter):
    """Calls from this address, so that limits by address are the caller's own."""

    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, source_address=(self._address, 0), **kwargs)


def _id_of(given: object) -> UUID | None:
    """The id that a path's value is."""
    try:
        found = UUID(str(given))
    except ValueError:
        return None
    return found if str(found) == given else None


def _is_sound(given: object) -> bool:
    """Whether a path's value is one that could name something."""
    return _id_of(given) is not None or (isinstance(given, str) and given.isalnum())


@pytest.fixture(scope="module")
def addresses() -> Iterator[str]:
    """Loopback addresses that nobody else calls from; those of an earlier run have room again."""
    run = time.time_ns() // 10**9 % 250
    return (f"127.{1 + run}.{number // 250}.{1 + number % 250}" for number in range(250 * 250))


@pytest.fixture(scope="module", params=[None, "user", "admin"], ids=["anybody", "user", "admin"])
def account(request: pytest.FixtureRequest, addresses: Iterator[str]) -> Iterator[Account]:
    """Each of those who may call."""
    caller = Account(request.param, addresses)
    yield caller
    caller.leave()


@pytest.fixture(scope="module")
def tally() -> Tally:
    """Of this whole file."""
    return Tally()


@pytest.mark.rule("R-OA1")
@API.parametrize()
def test_an_answer_is_a_described_one(case: Case, account: Account, tally: Tally) -> None:
    account.name_what_exists(case)
    account.leave_names_free(case)
    for _ in range(2):
        response = account.send(case)
        tally.statuses[response.status_code] += 1
        tally.phases[case.meta.phase.name.value if case.meta else "?"] += 1
        if response.status_code in range(200, 300) and case.method == case.operation.method.upper():
            tally.answered_well.add(case.operation.label)
        case.validate_response(response, checks=CHECKS)
        if not account.is_spent(case, response.status_code):
            break
        account.change()


def test_every_operation_did_what_it_is_for(
    tally: Tally, capsys: pytest.CaptureFixture[str], pytestconfig: pytest.Config
) -> None:
    seconds, terminal = time.monotonic() - tally.started, pytestconfig.get_terminal_writer()
    with capsys.disabled():
        terminal.line(f"\nSchemathesis: {tally.statuses.total()} requests in {seconds:.0f} s: {dict(tally.phases)}")
        terminal.line(f"Answers: {dict(sorted(tally.statuses.items()))}")
    asked = {each.ok().label for each in API.get_all_operations() if isinstance(each, Ok)}

    assert asked - tally.answered_well == set()
