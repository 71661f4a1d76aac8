"""Asking a route as a viewer, and holding the answer against the table."""

import importlib
from types import ModuleType
from uuid import UUID

from infra.template_map import routes
from layers.core import cursors
from layers.core.ids import new_id
from tests.integration.visibility.table import ROWS
from tests.integration.visibility.world import Owned
from tests.support.calls import Reply, call
from tests.support.people import Person

CANONICAL = {f"{route.method} {route.path}": route for route in routes() if not route.is_alias}
EXPLORE = "GET /api/v1/feed/explore"
SUCCESSES = ("+", "-")
READS = [name for name, row in ROWS.items() if name.startswith("GET") and row.about != "nothing"]


def ask(name: str, owned: Owned, person: Person | None, *, unknown: bool = False) -> Reply:
    """The answer about what is owned; with `unknown` about what never was."""
    row, route = ROWS[name], CANONICAL[name]
    about: dict[str, object] = {
        "user": owned.owner.id,
        "post_id": owned.post_id,
        "comment_id": owned.comment_id,
        "story_id": owned.story_id,
        "conversation_id": owned.conversation_id,
        "message_id": owned.message_id,
        "neighbour": owned.neighbour.id,
    }
    if unknown:
        about = {each: new_id() for each in about}
    query = dict(row.query or {})
    if name in ("GET /api/v1/users/search/users", "GET /api/v1/admin/users"):
        query["q"] = owned.owner.username
    if name == "GET /api/v1/admin/posts":
        query["userId"] = owned.owner.id
    body = row.body and {field: _filled(value, about) for field, value in row.body.items()}
    path = {each: about[each] for each in about if f"{{{each}}}" in route.path}
    module: ModuleType = importlib.import_module(route.function.handler.rpartition(".")[0])
    session_id = person.session_id if person else None

    def answer(**more: object) -> Reply:
        return call(module, session_id=session_id, path=path, query=query | more, body=body)

    if name != EXPLORE:
        return answer()
    reply = answer(cursor=_just_before(owned, person))
    # A cursor is its reader's alone, and whose session has ended is anonymous here.
    return answer(cursor=_just_before(owned, None)) if reply.status == 400 else reply


def _filled(value: object, about: dict[str, object]) -> object:
    """A body's value with `{user}` and its like in place."""
    if isinstance(value, list):
        return [_filled(each, about) for each in value]
    return value.format_map(about) if isinstance(value, str) else value


def _just_before(owned: Owned, reader: Person | None) -> str:
    """The cursor of the page that begins where the post would stand, among strangers' posts."""
    place = (owned.score, UUID(int=owned.post_id.int + 1))
    return cursors.written("explore", reader.id if reader else None, place)


def shown(name: str, owned: Owned, reply: Reply) -> bool:
    """Whether the answer shows what the row is about."""
    return any(mark in reply.body.decode() for mark in owned.marks(ROWS[name].about))


def check(name: str, state: str, viewer: str, reply: Reply, owned: Owned) -> None:
    """The answer is what the table says of this viewer and state."""
    expected = ROWS[name].cells[state][viewer]
    told = f"{name} about {state} by {viewer}: {expected} wanted; {reply.status} {reply.body[:300]!r}"
    if expected in SUCCESSES:
        assert reply.status < 300, told
        assert shown(name, owned, reply) == (expected == "+"), told
    elif expected != ".":
        assert reply.status == int(expected), told
        assert not shown(name, owned, reply), told
