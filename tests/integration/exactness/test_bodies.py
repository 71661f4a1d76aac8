"""What a body may say, on every route that there is: nothing beyond the contract's members, no markup, and so much."""

import itertools
import re
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import msgspec
import pytest

from functions.users import search_users
from layers.core import limits, models
from layers.postgres.connection import transaction
from tests.integration.exactness import rows
from tests.integration.exactness.changes import CHANGES, Change, fields, unsafe_functions, ways
from tests.integration.exactness.lists import LISTS, crowd, listed
from tests.support.calls import Reply, Upload, call
from tests.support.feed_posts import publish_post
from tests.support.people import Person, new_person

each_way = pytest.mark.parametrize("way", CHANGES)
KIB = 1024


@pytest.fixture(autouse=True)
def _unlimited(unlimited: None) -> None:
    """These tests are not about limits."""


def _texts(described: msgspec.inspect.Type) -> bool:
    match described:
        case msgspec.inspect.Metadata(type=inner):
            return _texts(inner)
        case msgspec.inspect.UnionType(types=several):
            return any(_texts(each) for each in several)
        case msgspec.inspect.StrType():
            return True
    return False


TEXTS = fields(_texts)
FIELDS = fields(lambda _: True)
JSON_WAYS = [way for way in dict.fromkeys(way for way, _ in FIELDS) if not way.endswith(" as a form")]
BODILESS_WAYS = [way for way in CHANGES if way not in JSON_WAYS and not way.endswith(" as a form")]
each_text = pytest.mark.parametrize(("way", "field"), TEXTS)


def test_every_way_of_every_unsafe_route_is_in_this_suite() -> None:
    assert {way for module in unsafe_functions().values() for way in ways(module)} == set(CHANGES)


def test_bodies_accept_only_the_members_of_the_contract() -> None:
    assert set(FIELDS) == set(BOUNDS) | ELSEWHERE | set(LISTS_OF) | OTHERS


# No mass assignment.

COLUMNS = "SELECT DISTINCT column_name, udt_name FROM information_schema.columns WHERE table_schema = 'public'"
BY_NAME: dict[str, object] = {"role": "admin", "status": "failed", "email": "victim@example.org"}
MOST_PARTS = 50
"""Of a form; a few more would be refused."""
BY_TYPE: dict[str, object] = {
    "bool": True,
    "int2": 4242,
    "int4": 4242,
    "int8": 4242,
    "timestamptz": "2001-02-03T04:05:06.000Z",
    "_text": ["forged"],
    "_uuid": [],
    "jsonb": {"forged": 1},
}


def _forged(victim: Person) -> dict[str, object]:
    """Every field of every row and answer, with values that no caller may set, in both spellings."""
    with transaction() as db:
        of_rows = {name: victim.id if kind == "uuid" else BY_TYPE.get(kind) for name, kind in db.execute(COLUMNS)}
    kinds = [kind for kind in vars(models).values() if isinstance(kind, type) and issubclass(kind, models.Shape)]
    of_answers = {field.encode_name: _of_answer(field.type) for kind in kinds for field in msgspec.structs.fields(kind)}
    values = {"isAdmin": True, "is_admin": True, **of_answers, **of_rows}
    values = {name: BY_NAME.get(name, "forged" if value is None else value) for name, value in values.items()}
    return values | {_camel(name): value for name, value in values.items()}


def _of_answer(kind: object) -> object:
    return {bool: True, int: 4242, list[str]: ["forged"]}.get(kind)  # type: ignore[call-overload]


def _camel(name: str) -> str:
    return re.sub(r"_(\w)", lambda found: found[1].upper(), name)


def _left(change: Change, reply: Reply) -> list[str]:
    """What the rows hold about a request's sender and object."""
    ids = [id_ for id_ in change.path.values() if isinstance(id_, UUID)]
    person = change.person.id if change.person else UUID(reply.json["user"]["id"])
    return rows.about(person, *ids)


@each_way
def test_no_member_beyond_the_contracts_changes_anything(way: str) -> None:
    victim = new_person("victim")
    publish_post(victim)
    before, plain = rows.about(victim.id), CHANGES[way]()
    expected = plain.send()
    accepted = {field.encode_name for field in plain.fields} | {upload.field for upload in plain.files}
    more = [(name, value) for name, value in _forged(victim).items() if name not in accepted]
    for some in itertools.batched(more, MOST_PARTS if plain.files else len(more), strict=False):
        forged = CHANGES[way]()
        reply = forged.send(dict(some))

        assert reply.status == expected.status < 300, reply.body
        assert rows.comparable([reply.body.decode()]) == rows.comparable([expected.body.decode()])
        assert rows.comparable(_left(forged, reply)) == rows.comparable(_left(plain, expected))
    assert rows.about(victim.id) == before


# No markup.

MARKUP = re.compile(r"<[a-z/!?]", re.IGNORECASE)
KEPT = "Hello you a < b &amp; I <3 you"
TYPED = (
    "Hello <b>you</b><script>alert(1)</script><img src=x onerror=alert(1)> a < b &amp; I <3 you",
    "<b>x</b>@example.org",
    "<script>alert(1)</script>name_1",
    "<<b>b>name_2",
)


@pytest.mark.rule("R-V3")
@each_text
@pytest.mark.parametrize("typed", TYPED)
def test_no_markup_is_stored_or_shown(way: str, field: str, typed: str) -> None:
    change = CHANGES[way]()
    reply = change.send({field: typed})

    assert reply.status < 500, reply.body
    if reply.status < 300 and (way, field) not in AS_SENT:
        left = [*_left(change, reply), reply.body.decode()]
        assert [text for text in left if MARKUP.search(text)] == []
        is_shown = field != "password" and (way, field) not in ELSEWHERE
        assert typed != TYPED[0] or is_shown == any(KEPT in text for text in left)


# Bounded.

BOUNDS = {
    ("auth/register", "username"): 30,
    ("auth/register", "email"): 255,
    ("auth/register", "password"): 128,
    ("auth/register", "displayName"): 100,
    ("users/update_profile", "displayName"): 100,
    ("users/update_profile", "bio"): 150,
    ("users/update_profile as a form", "displayName"): 100,
    ("users/update_profile as a form", "bio"): 150,
    ("posts/create_post", "caption"): 2200,
    ("posts/create_post", "location"): 255,
    ("posts/create_post as a form", "caption"): 2200,
    ("posts/create_post as a form", "location"): 255,
    ("comments/create_comment", "content"): 2200,
    ("messages/open_group", "name"): 100,
    ("messages/rename_group", "name"): 100,
    ("messages/send_message", "content"): 2200,
    ("messages/send_message as a form", "content"): 2200,
}
"""As the contract says: the most characters."""
ELSEWHERE = {
    ("auth/login", "username"),
    ("auth/login", "password"),
    ("posts/create_post as a form", "filters"),
    ("posts/create_post as a form", "tags"),
    ("messages/send_message", "mediaUrl"),
}
"""Compared with something, lists in JSON, or a URL."""
AS_SENT = {("messages/send_message", "content"), ("messages/send_message as a form", "content")}
"""Stored as sent (M4), markup too: it is between the two, and clients show text as text."""


def _of_length(field: str, length: int) -> str:
    match field:
        case "username":
            return f"{new_person('actor').username}{'x' * length}"[:length]
        case "email":
            domain = f"@{new_person('actor').username.replace('_', '')}.example"
            return "x" * (length - len(domain)) + domain
        case "password":
            return "🔑" * length
    return "ж" * (length - 1) + "🗝"


@pytest.mark.rule("R-V2")
def test_every_text_of_every_body_has_a_maximum_length() -> None:
    assert set(BOUNDS) | ELSEWHERE == set(TEXTS)


@pytest.mark.rule("R-V2")
@pytest.mark.parametrize(("way", "field"), BOUNDS)
def test_the_maximum_length_passes_and_one_character_more_is_400(way: str, field: str) -> None:
    most = BOUNDS[way, field]
    around = "" if field == "password" or (way, field) in AS_SENT else " \n"
    fits = CHANGES[way]().send({field: around + _of_length(field, most) + around})
    longer = CHANGES[way]().send({field: _of_length(field, most + 1)})

    assert fits.status < 300, fits.body
    assert longer.status == 400
    assert longer.json["errors"][0]["field"] == field


@pytest.mark.rule("R-V2")
@each_text
def test_a_text_of_60_kib_is_refused(way: str, field: str) -> None:
    status = CHANGES[way]().send({field: "x" * 60 * KIB}).status

    assert status in ((200, 202, 400, 401) if (way, field) in ELSEWHERE else (400,))


LISTS_OF = {
    ("posts/create_post", "filters"): None,
    ("posts/create_post", "tags"): limits.TAGS,
    ("posts/create_post", "uploads"): limits.POST_FILES,
    ("posts/create_uploads", "files"): limits.POST_FILES,
    ("messages/open_group", "userIds"): limits.GROUP_MAX_MEMBERS,
}
"""The most entries; further filters do not count."""


def _lists(described: msgspec.inspect.Type) -> bool:
    inner = described.type if isinstance(described, msgspec.inspect.Metadata) else described
    return isinstance(inner, (msgspec.inspect.ListType, msgspec.inspect.VarTupleType, msgspec.inspect.SetType))


def test_every_list_of_every_body_has_a_maximum_length() -> None:
    assert set(LISTS_OF) == set(fields(_lists))


@pytest.mark.parametrize(("way", "field", "most"), [(*key, most) for key, most in LISTS_OF.items() if most])
def test_one_entry_too_many_is_400(way: str, field: str, most: int) -> None:
    change = CHANGES[way]()
    body: Mapping[str, Any] = change.body or {}
    [entry, *_] = body.get(field, ["tag"])
    replies = [change.send({field: [entry] * count}) for count in (most + 1, 1000)]

    assert {reply.status for reply in replies} == {400}
    assert field in ("uploads", "userIds") or change.send({field: [entry] * most}).status < 300


@pytest.mark.parametrize("way", JSON_WAYS)
def test_a_body_of_more_than_100_kib_is_413(way: str) -> None:
    change = CHANGES[way]()
    length = len(msgspec.json.encode({**(change.body or {}), "more": ""}))

    assert change.send({"more": "x" * (100 * KIB - length + 1)}).status == 413
    assert change.send({"more": "x" * (100 * KIB - length)}).status < 300


@pytest.mark.parametrize("way", [way for way in CHANGES if way.endswith(" as a form")])
def test_a_form_is_bounded_in_texts_parts_and_files(way: str) -> None:
    change = CHANGES[way]()
    [file] = change.files
    files = [file] * 11
    several = [
        change.send({"more": "x" * (64 * KIB + 1)}),
        change.send({f"more{number}": "x" for number in range(100)}),
        msgspec.structs.replace(change, files=tuple(files)).send(),
        msgspec.structs.replace(change, files=(Upload(b"\xff\xd8\xff" + bytes(limits.FILE_BYTES), file.field),)).send(),
    ]

    assert [reply.status for reply in several] == [413, 400, 400, 413]


OTHERS = {
    ("users/update_profile", "isPrivate"),
    ("users/update_profile as a form", "isPrivate"),
    ("comments/create_comment", "parentCommentId"),
    ("stories/create_story as a form", "filter"),
    ("messages/open_conversation", "recipientId"),
    ("messages/mark_read", "lastMessageId"),
    ("messages/add_reaction", "reaction"),
    ("messages/send_message", "contentType"),
    ("messages/send_message", "replyToMessageId"),
    ("messages/send_message", "clientMessageId"),
    ("messages/send_message as a form", "replyToMessageId"),
    ("messages/send_message as a form", "clientMessageId"),
}
"""Members that are bounded by their kind."""

# No JSON causes a server error.

ODD: tuple[object, ...] = (
    None,
    True,
    -1,
    0,
    1.5,
    10**30,
    "",
    "\x00",
    "x\u2028",
    [],
    [[]],
    [None],
    {},
    {"a": 1},
    "\u202e",
)
BROKEN = ("[]", '"text"', "null", "{", '{"a": "\\ud800"', "\x00", "{}" * 2, "[" * 10_000)


@pytest.mark.parametrize(("way", "field"), FIELDS)
def test_no_value_of_another_type_causes_a_server_error(way: str, field: str) -> None:
    change = CHANGES[way]()
    statuses = {repr(value): change.send({field: value}).status for value in ODD}

    assert [value for value, status in statuses.items() if status >= 500] == []


@pytest.mark.parametrize("way", JSON_WAYS)
def test_a_body_that_is_no_object_is_400(way: str) -> None:
    change = CHANGES[way]()
    statuses = {body[:20]: _send_text(change, body).status for body in BROKEN}

    assert statuses == dict.fromkeys(statuses, 400)


@pytest.mark.parametrize("way", BODILESS_WAYS)
def test_a_route_without_a_body_ignores_what_is_sent(way: str) -> None:
    expected = CHANGES[way]().send()
    for body in (*BROKEN, '{"more": "' + "x" * 100 * KIB + '"}'):
        reply = _send_text(CHANGES[way](), body)

        assert reply.status == expected.status == 200, (body[:20], reply.body)
        assert rows.comparable([reply.body.decode()]) == rows.comparable([expected.body.decode()])


def _send_text(change: Change, body: str) -> Reply:
    """The request with this text as its body, declared as JSON."""
    session_id = change.person.session_id if change.person else None
    return call(change.module, session_id=session_id, path={**change.path}, body=body)


# Queries.


def _queries() -> Mapping[str, Callable[[dict[str, object]], Reply]]:
    asked: dict[str, Callable[[dict[str, object]], Reply]] = {
        name: lambda query, name=name: listed(name).ask(**query)  # type: ignore[misc]
        for name in LISTS
    }
    return {**asked, "users/search_users": lambda query: call(search_users, query=query)}


@pytest.mark.rule("R-F6")
@pytest.mark.parametrize("name", _queries())
def test_no_query_value_causes_a_server_error(name: str) -> None:
    ask = _queries()[name]
    module: Any = search_users if name == "users/search_users" else LISTS[name].module
    names = [field.encode_name for field in msgspec.structs.fields(module.handler.signature.query)]
    statuses = {
        (each, value[:20]): ask({each: value}).status
        for each in [*names, "unknown"]
        for value in ("x" * 5000, "\x00", "%", "_", "\\", "' OR 1=1 --", "é", "\u202e", "-1", "", "null", "[]")
    }

    assert {key: status for key, status in statuses.items() if status not in (200, 400)} == {}


def test_a_search_shows_100_at_most() -> None:
    assert len(crowd()) > limits.PAGE_ROWS
    found = call(search_users, query={"q": "crowd", "limit": 10**6}).json["users"]

    assert len(found) == limits.PAGE_ROWS
