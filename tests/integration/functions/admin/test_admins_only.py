"""Who may call the admin endpoints, and what their calls leave behind."""

from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest

from functions.admin import get_stats, list_all_posts, list_all_users, remove_post, remove_user, unban_user
from functions.posts import delete_post
from tests.support.calls import Reply, call
from tests.support.feed_posts import publish_post
from tests.support.people import Person, new_person
from tests.support.proxies import Proxies
from tests.support.trail import trail_of

CALLS: tuple[tuple[ModuleType, dict[str, Any]], ...] = (
    (list_all_users, {"query": {"role": "king"}}),
    (remove_user, {"path": {"user": "no-id"}}),
    (unban_user, {"path": {"user": uuid4()}}),
    (list_all_posts, {"query": {"from": "yesterday"}}),
    (remove_post, {"path": {"post_id": uuid4()}}),
    (get_stats, {}),
)
"""A request that would be refused for other reasons after the check of the role."""

each_call = pytest.mark.parametrize(("module", "given"), CALLS, ids=lambda given: getattr(given, "__name__", ""))


@each_call
def test_without_a_session_it_is_401_and_for_all_but_admins_403_whatever_is_asked(
    module: ModuleType, given: dict[str, Any], ada: Person
) -> None:
    verified = new_person("known", role="verified")

    assert call(module, **given).status == 401
    assert [call(module, session_id=who.session_id, **given).status for who in (ada, verified)] == [403, 403]
    assert trail_of(ada) == []


def test_what_an_admin_reads_leaves_a_note_with_the_filter_and_the_trace(admin: Person, ada: Person) -> None:
    def ask(module: ModuleType, **query: object) -> Reply:
        return call(module, session_id=admin.session_id, query=query, headers={"x-trace-id": f"t-{admin.username}"})

    replies = [
        ask(list_all_users, q=" Ada ", status="banned"),
        ask(list_all_posts, userId=ada.id, **{"from": "2026-01-01T00:00:00.000Z"}),
        ask(get_stats),
    ]

    assert [reply.status for reply in replies] == [200] * 3
    entries = trail_of(admin)
    assert [entry.action for entry in entries] == ["list_users", "list_posts", "read_stats"]
    assert {entry.trace_id for entry in entries} == {f"t-{admin.username}"}
    assert entries[0].details == {"filter": {"part": "Ada", "role": None, "status": "banned"}}
    assert entries[1].details["filter"]["user_id"] == str(ada.id)


def test_what_is_refused_leaves_a_note_with_the_reason(admin: Person) -> None:
    other, nobody = new_person("boss", role="admin"), uuid4()
    refused = [
        call(remove_user, session_id=admin.session_id, path={"user": other.id}),
        call(remove_user, session_id=admin.session_id, path={"user": nobody}, query={"mode": "delete"}),
        call(remove_user, session_id=admin.session_id, path={"user": admin.id}),
        call(unban_user, session_id=admin.session_id, path={"user": nobody}),
        call(remove_post, session_id=admin.session_id, path={"post_id": nobody}),
        call(list_all_users, session_id=admin.session_id, query={"cursor": "made-up"}),
    ]

    assert [reply.status for reply in refused] == [403, 404, 400, 404, 404, 400]
    entries = trail_of(admin)
    recorded = [(entry.action, entry.target_id) for entry in entries]
    assert recorded == [
        ("ban_user", other.id),
        ("ban_user", nobody),
        ("ban_user", admin.id),
        ("unban_user", nobody),
        ("delete_post", nobody),
        ("list_users", None),
    ]
    assert [entry.details["refused"] for entry in entries] == [reply.json["error"] for reply in refused]


def test_what_an_admin_does_with_the_rights_of_the_role_elsewhere_leaves_a_note(admin: Person, ada: Person) -> None:
    of_ada, own = publish_post(ada), publish_post(admin)
    for post_id in (of_ada, own):
        assert call(delete_post, session_id=admin.session_id, path={"post_id": post_id}).status == 200

    assert [(entry.action, entry.target_id) for entry in trail_of(admin)] == [("delete_post", of_ada)]


def test_what_cannot_be_noted_is_not_done(admin: Person, ada: Person, proxies: Proxies) -> None:
    assert call(get_stats, session_id=admin.session_id).status == 200
    proxies.database.close()

    for module, path in ((remove_user, {"user": ada.id}), (list_all_users, {})):
        reply = call(module, session_id=admin.session_id, path=path)
        assert reply.status == 503
        assert int(reply.headers["retry-after"]) >= 1
