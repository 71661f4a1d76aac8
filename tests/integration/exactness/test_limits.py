"""Each row of the contract's table of rate limits, at its endpoints."""

import importlib
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import ModuleType
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from functions.auth import get_me, login
from functions.comments import create_comment, like_comment, unlike_comment
from functions.feed import get_feed
from functions.posts import create_post, like_post, list_filters, unlike_post
from functions.stories import create_story
from functions.users import follow_user
from infra import template_map
from layers.core import metrics
from tests.support.calls import Reply, call, sample
from tests.support.limits import set_limits
from tests.support.people import Person, new_person
from tests.support.proxies import through_proxies
from tests.support.stores import seconds_to_end, valkey
from tests.support.together import together

FEW = 7


class Caller(msgspec.Struct, frozen=True):
    """A user with a client address of its own."""

    person: Person
    address: str

    @property
    def counted_as(self) -> tuple[str, str]:
        """What keys of counts hold."""
        return str(self.person.id), self.address


def new_caller() -> Caller:
    """A new user with a new address."""
    return Caller(new_person("caller"), f"test-{secrets.token_hex(6)}")


@pytest.fixture
def caller() -> Caller:
    """A new user with a new address."""
    return new_caller()


type Call = Callable[[Caller, int], Reply]


def _asked(
    module: ModuleType, *, body: object = None, has_form: bool = False, **path: Callable[[Caller], object]
) -> Call:
    """A cheap call; limits count it whether it succeeds or not (R-L5)."""

    def ask(caller: Caller, _number: int) -> Reply:
        return call(
            module,
            session_id=caller.person.session_id,
            address=caller.address,
            path={name: value(caller) for name, value in path.items()},
            body=body,
            form=([], {}) if has_form else None,
        )

    return ask


def _nothing(_caller: Caller) -> object:
    return uuid4()


def _wrong_password(caller: Caller, _number: int) -> Reply:
    return call(login, address=caller.address, body={"username": caller.person.username, "password": "wrong one"})


_like_post, _like_comment = _asked(like_post, post_id=_nothing), _asked(like_comment, comment_id=_nothing)


class Action(msgspec.Struct, frozen=True):
    """A row of the table."""

    name: str
    requests: int
    seconds: int
    ask: Call
    modules: tuple[ModuleType, ...] = ()

    @property
    def policy(self) -> str:
        """As the header says it."""
        return f"{self.requests};w={self.seconds}"


TABLE = [
    Action("login", 5, 60, _wrong_password, (login,)),
    Action("post_create", 10, 3600, _asked(create_post, has_form=True), (create_post,)),
    Action(
        "like",
        100,
        3600,
        lambda caller, number: (_like_comment if number % 3 == 0 else _like_post)(caller, number),
        (like_post, like_comment),
    ),
    Action("comment", 50, 3600, _asked(create_comment, body={"content": "x"}, post_id=_nothing), (create_comment,)),
    Action("follow", 30, 3600, _asked(follow_user, user=_nothing), (follow_user,)),
    Action("feed", 60, 60, _asked(get_feed), (get_feed,)),
    Action("story_create", 20, 3600, _asked(create_story, has_form=True), (create_story,)),
    Action("general", 1000, 60, _asked(list_filters)),
]
each_action = pytest.mark.parametrize("action", TABLE, ids=lambda action: action.name)
general = TABLE[-1]


@pytest.fixture
def limited() -> Iterator[Callable[..., None]]:
    """A function that sets limits: action to requests and seconds; those of the contract where nothing is given."""
    with ExitStack() as stack:

        def limit(**given: tuple[int, int]) -> None:
            stack.enter_context(set_limits(**given))

        limit()
        yield limit


@pytest.mark.rule("R-L1")
@each_action
def test_the_limit_passes_and_the_next_is_refused_with_headers(action: Action, caller: Caller, limited: object) -> None:
    accepted = [action.ask(caller, number) for number in range(action.requests)]
    refused = [action.ask(caller, number) for number in range(3)]

    assert 429 not in {reply.status for reply in accepted}
    assert [reply.status for reply in refused] == [429] * 3
    for number, reply in enumerate(accepted):
        assert reply.headers["ratelimit-limit"] == str(action.requests)
        assert reply.headers["ratelimit-remaining"] == str(action.requests - number - 1)
        assert reply.headers["ratelimit-policy"] == action.policy
        assert 1 <= int(reply.headers["ratelimit-reset"]) <= action.seconds
        assert "retry-after" not in reply.headers
    for reply in refused:
        assert reply.json["error"]
        assert (reply.headers["ratelimit-remaining"], reply.headers["ratelimit-policy"]) == ("0", action.policy)
        assert 1 <= int(reply.headers["retry-after"]) <= action.seconds
        assert reply.headers["retry-after"] == reply.headers["ratelimit-reset"]


@pytest.mark.rule("R-L1")
@each_action
def test_other_users_and_other_actions_are_unaffected(
    action: Action, caller: Caller, limited: Callable[..., None]
) -> None:
    limited(**{action.name: (1, 60)})
    assert [action.ask(caller, 0).status == 429 for _ in range(2)] == [False, True]
    other = msgspec.structs.replace(new_caller(), **({} if action.name == "login" else {"address": caller.address}))

    assert action.ask(other, 0).status != 429
    if action is not general:
        unaffected = [each for each in TABLE if each is not action and each.name != "login"]
        assert 429 not in {each.ask(caller, 0).status for each in unaffected}


@pytest.mark.rule("R-L2", "R-L3")
@each_action
def test_of_fifty_at_once_exactly_the_limit_passes(
    action: Action, caller: Caller, limited: Callable[..., None]
) -> None:
    few = 5 if action.name == "login" else FEW
    limited(**{action.name: (few, 60)})
    replies = together(lambda number: action.ask(caller, number), range(50))
    refused = [reply for reply in replies if reply.status == 429]
    left = sorted(int(reply.headers["ratelimit-remaining"]) for reply in replies if reply.status != 429)

    assert len(refused) == 50 - few
    assert left == list(range(few))


@pytest.mark.rule("R-L3")
@each_action
def test_no_count_is_left_without_expiry(action: Action, caller: Caller, limited: object) -> None:
    action.ask(caller, 0)
    action.ask(caller, 1)
    keys: list[Any] = [key for who in caller.counted_as for key in valkey().keys(f"ratelimit:{who}:*")]

    assert any(key.endswith(f":{action.name}".encode()) for key in keys)
    for key in keys:
        window = next(each.seconds for each in TABLE if key.endswith(f":{each.name}".encode()))
        assert 0 < seconds_to_end(key) <= window + 1


@pytest.mark.rule("R-L2")
def test_in_no_span_of_one_window_are_more_than_the_limit_accepted(
    caller: Caller, limited: Callable[..., None]
) -> None:
    limited(feed=(3, 1), general=(10**6, 60))
    accepted: list[tuple[float, float]] = []
    refused = 0
    ends_at = time.monotonic() + 3.2
    while time.monotonic() < ends_at:
        began = time.monotonic()
        reply = call(get_feed, session_id=caller.person.session_id)
        if reply.status == 200:
            accepted.append((began, time.monotonic()))
        else:
            assert int(reply.headers["retry-after"]) == 1
            refused += 1

    assert 9 <= len(accepted) <= 12
    assert refused > 100
    for (earlier, _), (_, later) in zip(accepted, accepted[3:], strict=False):
        assert later - earlier > 1


@pytest.mark.rule("R-L5")
def test_every_request_of_a_user_counts_whatever_its_outcome(caller: Caller, limited: object) -> None:
    outcomes = [uuid4(), "malformed"]
    replies = [call(like_post, session_id=caller.person.session_id, path={"post_id": post_id}) for post_id in outcomes]
    replies += [call(like_comment, session_id=caller.person.session_id, path={"comment_id": "malformed"})]

    assert [reply.status for reply in replies] == [404, 400, 400]
    assert [reply.headers["ratelimit-remaining"] for reply in replies] == ["99", "98", "97"]


@pytest.mark.rule("R-L5")
def test_a_401_counts_only_for_general(caller: Caller, limited: object) -> None:
    for session_id in (None, "unknown"):
        reply = call(like_post, session_id=session_id, path={"post_id": uuid4()}, address=caller.address)
        assert reply.status == 401
        assert reply.headers["ratelimit-policy"] == general.policy

    assert reply.headers["ratelimit-remaining"] == "998"
    assert valkey().keys(f"ratelimit:{caller.address}:*") == [f"ratelimit:{caller.address}:general".encode()]


@pytest.mark.rule("R-L5")
def test_undoing_is_not_limited(caller: Caller, limited: Callable[..., None]) -> None:
    limited(like=(1, 60))
    for _ in range(3):
        _like_post(caller, 0)
    taken_back = [_asked(unlike_post, post_id=_nothing), _asked(unlike_comment, comment_id=_nothing)]

    assert {ask(caller, 0).status for ask in taken_back} == {404}


@pytest.mark.rule("R-L6")
@pytest.mark.parametrize("is_signed_in", [True, False])
def test_every_route_is_counted_by_its_limiter_and_health_by_none(
    is_signed_in: bool,  # noqa: FBT001
    limited: object,
) -> None:
    policies = {module.__name__: action.policy for action in TABLE for module in action.modules}
    policies_found: dict[str, str | None] = {}
    expected: dict[str, str | None] = {}
    for route in template_map.routes():
        module = importlib.import_module(route.function.handler.rpartition(".")[0])
        caller = new_caller()
        reply = call(
            module,
            session_id=caller.person.session_id if is_signed_in else None,
            path=sample(module)["pathParameters"],
            body="not JSON" if route.method in ("POST", "PUT") else None,
            address=caller.address,
        )
        specific = policies.get(module.__name__) if is_signed_in or module is login else None
        policies_found[route.function.name] = reply.headers.get("ratelimit-policy")
        expected[route.function.name] = None if "/health" in route.path else specific or general.policy

    assert policies_found == expected


@pytest.mark.rule("R-L7")
def test_without_valkey_all_pass_uncounted_but_for_login(
    caller: Caller, limited: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(**{action.name: (1, 60) for action in TABLE})
    with through_proxies(monkeypatch) as proxies:
        proxies.valkey.close()
        replies = {action.name: [action.ask(caller, number) for number in range(2)] for action in TABLE}

    for name, several in replies.items():
        statuses = {reply.status for reply in several}
        assert statuses == {503} if name == "login" else not {429, 503} & statuses
        assert not [header for reply in several for header in reply.headers if header.startswith("ratelimit-")]
    assert [int(reply.headers["retry-after"]) >= 1 for reply in replies["login"]] == [True, True]


@pytest.mark.rule("R-L8")
@each_action
def test_each_refusal_raises_the_counter_of_its_action(
    action: Action, caller: Caller, limited: Callable[..., None]
) -> None:
    limited(**{action.name: (1, 60)})
    counters = [metrics.RATE_LIMIT_HITS.labels(action.name), metrics.FOLLOWS_RATE_LIMITED]
    before = [counter._value.get() for counter in counters]
    for number in range(4):
        action.ask(caller, number)
    after = [counter._value.get() for counter in counters]

    assert after[0] - before[0] == 3
    assert after[1] - before[1] == (3 if action.name == "follow" else 0)


@pytest.mark.rule("R-L4")
def test_a_successful_login_is_not_counted_and_a_failed_one_is(caller: Caller, limited: object) -> None:
    malformed = [call(login, address=caller.address, body={"username": "x"}) for _ in range(7)]
    wrong = [_wrong_password(caller, number) for number in range(6)]

    assert {reply.status for reply in malformed} == {400}
    assert [reply.status for reply in wrong] == [401] * 5 + [429]


@pytest.mark.rule("R-L6")
def test_anonymous_requests_count_by_address_and_those_of_a_user_by_user(
    caller: Caller, limited: Callable[..., None]
) -> None:
    limited(general=(2, 60))
    anonymous = [call(list_filters, address=caller.address).status for _ in range(3)]
    signed_in = [call(get_me, address=caller.address, session_id=caller.person.session_id).status for _ in range(3)]

    assert anonymous == signed_in == [200, 200, 429]
