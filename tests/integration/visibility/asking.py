"""Asking a route as a viewer, and holding the answer against the table."""

import importlib
import secrets
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, Final
from uuid import UUID

import msgspec

from functions.auth import register
from functions.live import list_events
from functions.messages import add_reaction
from infra.template_map import routes
from layers.core import cursors
from layers.core.ids import new_id
from layers.postgres.connection import transaction
from tests import pictures
from tests.integration.visibility.effects import BEFORE, EFFECTS, Scene
from tests.integration.visibility.table import CONTENT, ROWS, Row
from tests.integration.visibility.world import Owned
from tests.support.calls import Reply, Upload, call
from tests.support.messages import ask as ask_in_conversation
from tests.support.people import Person

CANONICAL = {f"{route.method} {route.path}": route for route in routes() if not route.is_alias}
EXPLORE = "GET /api/v1/feed/explore"
EVENTS = "GET /api/v1/live/events"
LOGIN = "POST /api/v1/auth/login"
SUCCESSES = ("+", "-")
READS = [name for name, row in ROWS.items() if name.startswith("GET") and row.shows in CONTENT]
PASSWORD = "correct horse battery"

COUNTS: Final = {
    "post": """
        SELECT (SELECT count(*) FROM likes WHERE post_id = %(id)s) AS "likeCount",
               (SELECT count(*) FROM comments WHERE post_id = %(id)s) AS "commentCount"
    """,
    "comment": """
        SELECT (SELECT count(*) FROM comment_likes WHERE comment_id = %(id)s) AS "likeCount",
               (SELECT count(*) FROM comments WHERE parent_id = %(id)s) AS "replyCount"
    """,
    "story": 'SELECT count(*) AS "viewCount" FROM story_views WHERE story_id = %(id)s',
    "account": """
        SELECT (SELECT count(*) FROM follows WHERE following_id = %(id)s) AS "followerCount",
               (SELECT count(*) FROM follows WHERE follower_id = %(id)s) AS "followingCount",
               (SELECT count(*) FROM posts WHERE user_id = %(id)s AND status = 'published') AS "postCount"
    """,
}
"""What each kind of thing counts, from the rows that are counted."""


class Asked(msgspec.Struct, frozen=True):
    """An answer, and what was so before and after it."""

    reply: Reply
    was_so: bool
    is_so: bool
    """Whether that is so which the row does."""
    marks: tuple[str, ...]
    """What an answer of `+` holds."""


def ask(
    name: str,
    owned: Owned,
    person: Person | None,
    *,
    row: Row | None = None,
    unknown: bool = False,
    prepare: bool = False,
) -> Asked:
    """The answer about what is owned; with `unknown` about what never existed, with `prepare` after `Row.before`.

    `row` stands in for the table's own.
    """
    row = row or ROWS[name]
    scene = Scene(owned, person, secrets.token_hex(6))
    if prepare:
        BEFORE[row.before](scene)
    values = _values(name, scene)
    if unknown:
        values |= {each: new_id() for each, value in values.items() if isinstance(value, UUID)}
    effect = EFFECTS[row.does]
    was_so = effect(scene)
    reply = _send(name, row, scene, values)
    return Asked(reply, was_so, effect(scene), _marks(row.shows, scene, values))


def _values(name: str, scene: Scene) -> dict[str, object]:
    """What stands for the names in paths, queries and bodies."""
    owned = scene.owned
    values: dict[str, object] = {
        "user": owned.owner.id,
        "name": owned.owner.username,
        "post_id": owned.post_id,
        "comment_id": owned.comment_id,
        "story_id": owned.story_id,
        "conversation_id": owned.conversation_id,
        "message_id": owned.message_id,
        "neighbour": owned.neighbour.id,
        "requester": owned.requester.id,
        "token": scene.token,
    }
    if name == LOGIN:
        values |= _new_login(scene.token)
    if name == EVENTS:
        values["event"] = _event_before_a_reaction(scene)
    return values


def _new_login(token: str) -> dict[str, object]:
    """A registered account that can log in."""
    body = {"username": f"l_{token}", "email": f"{token}@example.org", "password": PASSWORD}
    assert call(register, body=body).status == 201
    return {"registered": body["username"], "password": PASSWORD}


def _event_before_a_reaction(scene: Scene) -> str:
    """The id of the caller's newest event; the neighbour has reacted to the message since."""
    owned = scene.owned
    answer = call(list_events, session_id=scene.person.session_id) if scene.person else None
    path = {"message_id": owned.message_id}
    ask_in_conversation(add_reaction, owned.neighbour, owned.conversation_id, path=path, body={"reaction": "laugh"})
    newest: str = answer.json["lastId"] if answer and answer.status == 200 else "0-1"
    return newest


def _send(name: str, row: Row, scene: Scene, values: Mapping[str, object]) -> Reply:
    route = CANONICAL[name]
    module: ModuleType = importlib.import_module(route.function.handler.rpartition(".")[0])
    variables = [each for each in values if f"{{{each}}}" in route.path]
    session_id = scene.person.session_id if scene.person else None
    texts = row.form and {field: text.format_map(values) for field, text in row.form.items()}

    def answer(**more: object) -> Reply:
        return call(
            module,
            session_id=session_id,
            path={each: values[row.path.get(each, each)] for each in variables},
            query={field: text.format_map(values) for field, text in row.query.items()} | more,
            body=_filled(row.body, values),
            form=([Upload(pictures.jpeg(40, 30))], texts) if texts is not None else None,
        )

    if name != EXPLORE:
        return answer()
    reply = answer(cursor=_just_before(scene.owned, scene.person))
    # A cursor is bound to its reader, and a caller whose session has ended is anonymous here.
    return answer(cursor=_just_before(scene.owned, None)) if reply.status == 400 else reply


def _filled(value: Any, values: Mapping[str, object]) -> Any:
    """A body with `{user}` and its like filled in."""
    if isinstance(value, dict):
        return {field: _filled(each, values) for field, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, values) for each in value]
    return value.format_map(values) if isinstance(value, str) else value


def _just_before(owned: Owned, reader: Person | None) -> str:
    """The cursor of the page that begins where the post would stand, among other accounts' posts."""
    place = (owned.score, UUID(int=owned.post_id.int + 1))
    return cursors.encode("explore", reader.id if reader else None, place)


def _marks(shows: str, scene: Scene, values: Mapping[str, object]) -> tuple[str, ...]:
    """The texts that show it."""
    match shows:
        case "":
            return ()
        case "token" | "registered":
            return (str(values[shows]),)
        case "caller":
            return (scene.person.username,) if scene.person else ()
        case "caller's id":
            return (str(scene.caller_id),)
    known = scene.owned.marks()
    return known.get(shows, (shows,))


def check(name: str, state: str, viewer: str, asked: Asked, owned: Owned, *, row: Row | None = None) -> None:
    """The answer, what it shows and what came of it are what the table says of this viewer and state."""
    row = row or ROWS[name]
    expected = row.cells[state][viewer]
    reply, text = asked.reply, asked.reply.body.decode()
    explanation = f"{name} about {state} by {viewer}: {expected} wanted; {reply.status} {reply.body[:300]!r}"
    assert reply.status < 300 if expected in SUCCESSES else reply.status == int(expected), explanation
    shown = [mark for mark in asked.marks if mark in text]
    assert shown == (list(asked.marks) if expected == "+" else []), explanation
    if expected == "+" and row.does:
        assert (asked.was_so, asked.is_so) == (False, True), explanation
    else:
        assert asked.was_so == asked.is_so, explanation
    if expected in SUCCESSES:
        check_counts(reply.json, owned)


def check_counts(answer: object, owned: Owned) -> None:
    """Wherever the answer counts something of what is owned, it is as many as there are rows."""
    ids = {"post": owned.post_id, "comment": owned.comment_id, "story": owned.story_id, "account": owned.owner.id}
    kinds = {str(id_): kind for kind, id_ in ids.items()}
    for found in _objects(answer):
        kind = kinds.get(str(found.get("id")))
        if kind is not None:
            counted = _count(kind, ids[kind])
            assert {name: found[name] for name in counted if name in found} == {
                name: count for name, count in counted.items() if name in found
            }


def _count(kind: str, id_: UUID) -> dict[str, int]:
    with transaction() as db:
        found = db.execute(COUNTS[kind].encode(), {"id": id_})
        row = found.fetchone()
        assert row
        assert found.description
        return {column.name: count for column, count in zip(found.description, row, strict=True)}


def _objects(answer: object) -> Iterator[dict[str, Any]]:
    """Every object of a JSON answer."""
    if isinstance(answer, dict):
        yield answer
    values = answer.values() if isinstance(answer, dict) else answer if isinstance(answer, list) else ()
    for value in values:
        yield from _objects(value)
