"""No answer costs more statements because it is longer; a warm home feed costs none, a cold one three at most."""

import importlib
import typing
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from uuid import UUID

import msgspec
import pytest

from functions.comments import create_comment, delete_comment, list_comments
from functions.feed import explore_posts, get_feed
from functions.posts import create_uploads, get_post, like_post, list_likes, save_post, unlike_post
from functions.stories import get_tray, list_own_stories, list_user_stories
from functions.users import (
    follow_user,
    get_profile,
    list_followers,
    list_user_posts,
    search_users,
    unfollow_user,
    update_profile,
)
from infra import template_map
from layers.postgres import connection as postgres_connection
from layers.postgres.connection import transaction
from tests.integration.exactness.lists import LISTS, OF_MESSAGES, Listed, crowd, listed, name_of
from tests.support.calls import Reply, call
from tests.support.feed_posts import Trips, count_trips, forget_feed, publish_post, publish_to
from tests.support.people import Person, follow, new_person
from tests.support.stores import valkey
from tests.support.stories import new_story

MANY = 50

type Ask = Callable[[], Reply]


@pytest.fixture(autouse=True)
def _unlimited(unlimited: None) -> None:
    """These tests are not about limits."""


@pytest.fixture
def rows(name: str) -> Iterator[Listed]:
    """A list with many rows; they are gone at the end."""
    found = listed(name)
    found.clear()
    found.ask()  # from now on a home feed's timeline is there, and receives
    found.add(*range(MANY + 1))
    yield found
    found.clear()


def _cost(ask: Ask, *, before: Callable[[], object] = lambda: None) -> tuple[Trips, Reply]:
    """What one call costs, when scripts and statements are known to the stores."""
    before()
    ask()
    before()
    with count_trips() as trips:
        reply = ask()
    assert reply.status < 300, reply.body
    return trips, reply


@pytest.mark.parametrize("name", LISTS)
def test_a_page_of_fifty_takes_as_many_statements_as_one_of_one(rows: Listed) -> None:
    one, short = _cost(lambda: rows.ask(limit=1))
    many, long = _cost(lambda: rows.ask(limit=MANY))

    assert [len(reply.json[rows.kind.items]) for reply in (short, long)] == [1, MANY]
    assert (many.statements, many.valkey) == (one.statements, one.valkey)
    assert one.statements <= 3


def _people_with_stories(count: int) -> tuple[Person, dict[str, object]]:
    viewer = new_person("viewer")
    for author in [new_person("author") for _ in range(count)]:
        follow(viewer, author)
        new_story(author)
    return viewer, {}


def _own_stories(count: int) -> tuple[Person, dict[str, object]]:
    author = new_person("author")
    for _ in range(count):
        new_story(author)
    return author, {"user": author.id}


def _found_people(count: int) -> tuple[Person, dict[str, object]]:
    crowd()
    return new_person("viewer"), {"limit": count, "q": "Crowd"}


UNPAGED: dict[ModuleType, tuple[str, Callable[[int], tuple[Person, dict[str, object]]]]] = {
    get_tray: ("users", _people_with_stories),
    list_own_stories: ("stories", _own_stories),
    list_user_stories: ("stories", _own_stories),
    search_users: ("users", _found_people),
}
FIXED = {"posts/list_filters"}
"""Lists that never grow."""


@pytest.mark.parametrize("module", UNPAGED, ids=lambda module: module.__name__)
def test_a_list_of_fifty_takes_as_many_statements_as_one_of_one(module: ModuleType) -> None:
    items, prepare = UNPAGED[module]
    costs = []
    for count in (1, MANY):
        viewer, asked = prepare(count)
        query, path = ({}, asked) if "user" in asked else (asked, {})
        trips, reply = _cost(lambda: call(module, session_id=viewer.session_id, path=path, query=query))  # noqa: B023
        assert len(reply.json[items]) == count
        costs.append((trips.statements, trips.valkey))

    assert costs[0] == costs[1]
    assert costs[0][0] == 1


def test_every_list_that_is_read_is_measured_here() -> None:
    known = set(LISTS) | {name_of(module) for module in UNPAGED} | FIXED
    lists = set()
    for route in template_map.routes():
        module = importlib.import_module(route.function.handler.rpartition(".")[0])
        answer = module.handler.signature.answer
        if route.method == "GET" and isinstance(answer, type) and issubclass(answer, msgspec.Struct):
            kinds = {typing.get_origin(field.type) for field in msgspec.structs.fields(answer)}
            if kinds & {list, tuple}:
                lists.add(route.function.name)

    assert lists - known - OF_MESSAGES == set()


def test_a_post_of_ten_pictures_takes_as_many_statements_as_one_of_one(ada: Person) -> None:
    costs = []
    for pictures in (1, 10):
        post_id = publish_post(ada, pictures=pictures)
        trips, reply = _cost(lambda: call(get_post, session_id=ada.session_id, path={"post_id": post_id}))  # noqa: B023
        assert len(reply.json["post"]["media"]) == pictures
        costs.append((trips.statements, trips.valkey))

    assert costs[0] == costs[1]


def test_turning_public_takes_as_many_statements_for_fifty_requests_as_for_one() -> None:
    costs = []
    for count in (1, MANY):
        shy = new_person("shy", private=True)
        with transaction() as db, db.cursor() as cursor:
            asking = [(who, shy.id) for who in crowd()[:count]]
            cursor.executemany("INSERT INTO follow_requests (requester_id, target_id) VALUES (%s, %s)", asking)
        with count_trips() as trips:
            reply = call(update_profile, session_id=shy.session_id, body={"isPrivate": False})
        assert reply.json["user"]["followerCount"] == count
        costs.append(trips.statements)

    assert costs[0] == costs[1]


def test_deleting_a_comment_takes_as_many_statements_with_fifty_replies_as_with_one(ada: Person) -> None:
    post_id, costs = publish_post(ada), []
    for count in (1, MANY):
        path: dict[str, object] = {"post_id": post_id}
        made = call(create_comment, session_id=ada.session_id, path=path, body={"content": "x"}).json["comment"]
        for _ in range(count):
            body = {"content": "y", "parentCommentId": made["id"]}
            assert call(create_comment, session_id=ada.session_id, path=path, body=body).status == 201
        with count_trips() as trips:
            assert call(delete_comment, session_id=ada.session_id, path={"comment_id": made["id"]}).status == 200
        costs.append(trips.statements)

    assert costs[0] == costs[1]


def test_ten_uploads_take_as_many_statements_as_one(ada: Person) -> None:
    file = {"size": 1000, "type": "image/jpeg"}
    costs = []
    for count in (1, 10):
        body = {"files": [file] * count}
        costs.append(_cost(lambda: call(create_uploads, session_id=ada.session_id, body=body))[0])  # noqa: B023

    assert costs[0].statements == costs[1].statements <= 3


# Writes that many do all the time.


@pytest.mark.parametrize(
    ("module", "body"),
    [
        (like_post, None),
        (unlike_post, None),
        (save_post, None),
        (create_comment, {"content": "said"}),
        (follow_user, None),
        (unfollow_user, None),
    ],
    ids=lambda value: value.__name__ if isinstance(value, ModuleType) else "",
)
def test_a_small_write_is_one_statement(ada: Person, module: ModuleType, body: object) -> None:
    """One transaction on the disk, the admission, and the change in Valkey."""
    warm, person = new_person("warm"), new_person("person")
    post_id = publish_post(ada)
    if module is unlike_post:
        for each in (warm, person):
            call(like_post, session_id=each.session_id, path={"post_id": post_id})
    if module is unfollow_user:
        for each in (warm, person):
            follow(each, ada)
    path = {"user": ada.id} if module in (follow_user, unfollow_user) else {"post_id": post_id}
    call(module, session_id=warm.session_id, path=path, body=body)
    call(update_profile, session_id=person.session_id, body={"bio": "now Valkey has the session"})
    with count_trips() as trips:
        reply = call(module, session_id=person.session_id, path=path, body=body)

    assert reply.status in (200, 201), reply.body
    assert reply.json.get("idempotent", False) is False
    assert (trips.statements, trips.valkey) == (1, 2)


def test_a_reply_is_one_statement(ada: Person) -> None:
    path, body = {"post_id": publish_post(ada)}, {"content": "said"}
    parent = call(create_comment, session_id=ada.session_id, path=path, body=body).json["comment"]["id"]
    trips, _ = _cost(
        lambda: call(create_comment, session_id=ada.session_id, path=path, body=body | {"parentCommentId": parent})
    )

    assert (trips.statements, trips.valkey) == (1, 2)


PLANNED_AGAIN = "SELECT statement FROM pg_prepared_statements WHERE custom_plans > 5"
"""PostgreSQL plans a statement five times before it decides whether to keep one plan for all values."""


def test_statements_that_run_all_the_time_are_not_planned_each_time(ada: Person, grace: Person) -> None:
    post_ids = [publish_post(ada) for _ in range(8)]
    follow(grace, ada)
    new_story(ada)
    postgres_connection.close()  # plans belong to a connection
    for post_id in post_ids:
        forget_feed(grace)
        user, post = {"user": ada.username}, {"post_id": post_id}
        asked: list[tuple[ModuleType, Mapping[str, object], Mapping[str, object], object]] = [
            (get_feed, {}, {}, None),
            (explore_posts, {}, {}, None),
            (search_users, {}, {"q": "ad"}, None),
            (get_tray, {}, {}, None),
            (get_profile, user, {}, None),
            (list_user_posts, user, {}, None),
            (list_followers, user, {}, None),
            (get_post, post, {}, None),
            (list_comments, post, {}, None),
            (list_likes, post, {}, None),
            (like_post, post, {}, None),
            (create_comment, post, {}, {"content": "said"}),
            (unlike_post, post, {}, None),
            (unfollow_user, {"user": ada.id}, {}, None),
            (follow_user, {"user": ada.id}, {}, None),
        ]
        for module, path, query, body in asked:
            reply = call(module, session_id=grace.session_id, path=path, query=query, body=body)
            assert reply.status < 300, reply.body
    with transaction() as db:
        planned = [" ".join(row[0].split())[:80] for row in db.execute(PLANNED_AGAIN)]

    assert planned == []


# The home feed.


@pytest.fixture
def reader() -> tuple[Person, list[UUID]]:
    """An account whose feed has more than two long pages, by several authors, and its posts, newest first."""
    reader, authors = new_person("reader"), [new_person("author") for _ in range(3)]
    for author in authors:
        follow(reader, author)
    call(get_feed, session_id=reader.session_id)  # from now on the timeline is there, and receives
    posts = [publish_to(authors[number % 3], reader) for number in range(2 * MANY + 3)]
    return reader, posts[::-1]


def _forgotten(reader: Person, posts: list[UUID]) -> None:
    """As after an hour."""
    forget_feed(reader)
    bits = (b"liked:" + reader.id.bytes, b"saved:" + reader.id.bytes)
    valkey().delete(*bits, *(b"post:" + post.bytes for post in posts))


@pytest.mark.parametrize("limit", [1, 20, MANY, 100])
def test_a_feed_hit_is_two_round_trips_and_no_sql(reader: tuple[Person, list[UUID]], limit: int) -> None:
    person, posts = reader
    trips, reply = _cost(lambda: call(get_feed, session_id=person.session_id, query={"limit": limit}))

    assert [post["id"] for post in reply.json["posts"]] == [str(post) for post in posts[:limit]]
    assert trips.statements == 0
    assert trips.valkey <= 2


@pytest.mark.parametrize("limit", [1, 20, MANY, 100])
def test_a_feed_miss_is_three_statements_at_most(reader: tuple[Person, list[UUID]], limit: int) -> None:
    person, posts = reader
    query: dict[str, object] = {"limit": limit}
    trips, reply = _cost(
        lambda: call(get_feed, session_id=person.session_id, query=query), before=lambda: _forgotten(person, posts)
    )

    assert [post["id"] for post in reply.json["posts"]] == [str(post) for post in posts[:limit]]
    assert trips.statements <= 3
    assert trips.valkey <= 4


def test_a_rebuilt_timeline_is_one_statement_if_other_readers_have_its_posts(
    reader: tuple[Person, list[UUID]],
) -> None:
    person, posts = reader
    bits = (b"liked:" + person.id.bytes, b"saved:" + person.id.bytes)

    def forget() -> None:
        call(get_feed, session_id=person.session_id)
        forget_feed(person)
        valkey().delete(*bits)

    trips, reply = _cost(lambda: call(get_feed, session_id=person.session_id), before=forget)

    assert [post["id"] for post in reply.json["posts"]] == [str(post) for post in posts[:20]]
    assert (trips.statements, trips.valkey) == (1, 2)


@pytest.mark.parametrize("what", ["timeline", "posts", "bits"])
def test_a_feed_that_lacks_something_is_three_statements_at_most(reader: tuple[Person, list[UUID]], what: str) -> None:
    person, posts = reader
    keys = {
        "timeline": [b"timeline:" + person.id.bytes],
        "posts": [b"post:" + post.bytes for post in posts[::2]],
        "bits": [b"liked:" + person.id.bytes],
    }[what]
    trips, reply = _cost(
        lambda: call(get_feed, session_id=person.session_id, query={"limit": MANY}),
        before=lambda: valkey().delete(*keys),
    )

    assert len(reply.json["posts"]) == MANY
    assert 1 <= trips.statements <= 3


def test_a_page_beyond_the_timeline_is_three_statements_at_most(reader: tuple[Person, list[UUID]]) -> None:
    person, posts = reader
    forget_feed(person)
    first = call(get_feed, session_id=person.session_id, query={"limit": 100}).json
    query = {"limit": MANY, "cursor": first["nextCursor"]}
    trips, reply = _cost(lambda: call(get_feed, session_id=person.session_id, query=query))

    assert [post["id"] for post in reply.json["posts"]] == [str(post) for post in posts[100:]]
    assert 1 <= trips.statements <= 3


READS: list[tuple[ModuleType, str, tuple[int, int]]] = [
    (get_post, "post", (1, 1)),
    (list_comments, "post", (1, 1)),
    (list_likes, "post", (1, 1)),
    (get_profile, "user", (1, 1)),
    (list_user_posts, "user", (1, 1)),
    (explore_posts, "", (1, 1)),
]


@pytest.mark.parametrize(("module", "of", "expected"), READS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_read_takes_so_many_statements_and_round_trips(
    ada: Person, grace: Person, module: ModuleType, of: str, expected: tuple[int, int]
) -> None:
    post_id = publish_post(ada)
    paths: dict[str, dict[str, object]] = {"post": {"post_id": post_id}, "user": {"user": ada.username}, "": {}}

    trips, _ = _cost(lambda: call(module, session_id=grace.session_id, path=paths[of]))

    assert (trips.statements, trips.valkey) == expected
