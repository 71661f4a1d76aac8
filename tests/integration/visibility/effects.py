"""What requests change: whether it is so, by the rows or for the other participant, and what has happened before."""

from collections.abc import Callable
from types import ModuleType
from typing import Any, Final, LiteralString
from uuid import UUID

import msgspec

from functions.messages import (
    add_reaction,
    list_messages,
    list_receipts,
    list_typing,
    mute_conversation,
    start_typing,
)
from layers.media import connection as store
from layers.postgres.connection import transaction
from tests.integration.visibility.world import Owned
from tests.support.messages import ask, entry, inbox
from tests.support.people import Person


class Scene(msgspec.Struct, frozen=True):
    """Who asks about what; `token` is a text that no other request holds."""

    owned: Owned
    person: Person | None
    token: str

    @property
    def caller_id(self) -> UUID | None:
        """None for an anonymous caller."""
        return self.person.id if self.person else None


type Effect = Callable[[Scene], bool]


def _row(query: LiteralString) -> Effect:
    """Whether the query finds a row."""

    def effect(scene: Scene) -> bool:
        owned = scene.owned
        values = {
            "caller": scene.caller_id,
            "owner": owned.owner.id,
            "requester": owned.requester.id,
            "post": owned.post_id,
            "comment": owned.comment_id,
            "story": owned.story_id,
            "token": scene.token,
        }
        with transaction() as db:
            return db.execute(query, values).fetchone() is not None

    return effect


def _no_row(query: LiteralString) -> Effect:
    finds = _row(query)
    return lambda scene: not finds(scene)


def _created_post(scene: Scene) -> bool:
    """A post of the caller with the token as its caption, whose original is stored."""
    with transaction() as db:
        row = db.execute(
            "SELECT original_key FROM posts JOIN post_media ON post_id = posts.id"
            " WHERE user_id = %s AND caption = %s AND posts.status = 'processing'",
            [scene.caller_id, scene.token],
        ).fetchone()
    return row is not None and store.exists(row[0])


def _has_sent(scene: Scene) -> bool:
    """The other participant reads the caller's message."""
    messages = _seen_by_neighbour(list_messages, "messages", scene)
    return (str(scene.caller_id), f"hi {scene.token}") in [(each["senderId"], each["content"]) for each in messages]


def _has_read(scene: Scene) -> bool:
    """The other participant sees that the caller has read the message."""
    receipts = _seen_by_neighbour(list_receipts, "receipts", scene)
    marks = {each["userId"]: each["lastReadMessageId"] for each in receipts}
    return marks.get(str(scene.caller_id)) == str(scene.owned.message_id)


def _types(scene: Scene) -> bool:
    """The other participant sees that the caller is typing."""
    return str(scene.caller_id) in _seen_by_neighbour(list_typing, "typingUsers", scene)


def _has_reacted(scene: Scene) -> bool:
    """The other participant sees the caller's reaction."""
    messages = _seen_by_neighbour(list_messages, "messages", scene)
    reactions = {each["messageId"]: each["reactions"] for each in messages}.get(str(scene.owned.message_id), [])
    return {"userId": str(scene.caller_id), "reaction": "heart"} in reactions


def _seen_by_neighbour(module: ModuleType, items: str, scene: Scene) -> list[Any]:
    """What a list of the conversation holds for the other participant; nothing while the owner is banned (R-B1)."""
    reply = ask(module, scene.owned.neighbour, scene.owned.conversation_id)
    assert reply.status == (404 if scene.owned.state == "owner_banned" else 200), reply.body
    found: list[Any] = reply.json.get(items, [])
    return found


def _is_muted(scene: Scene) -> bool:
    """The caller's list has the conversation as muted."""
    return any(
        each["isMuted"] for each in _conversations(scene) if each["conversationId"] == str(scene.owned.conversation_id)
    )


def _has_conversation(scene: Scene) -> bool:
    """The caller's list has a conversation with the owner."""
    return str(scene.owned.owner.id) in [each["otherUserId"] for each in _conversations(scene)]


def _has_group(scene: Scene) -> bool:
    """The caller's list has a group of that name with the owner and the neighbour."""
    others = {str(scene.owned.owner.id), str(scene.owned.neighbour.id)}
    return any(
        each["name"] == scene.token and others <= {member["id"] for member in each["members"]}
        for each in _conversations(scene)
    )


def _has_name(scene: Scene) -> bool:
    """The neighbour's list has the group under the token."""
    return bool(_group_of_neighbour(scene)["name"] == scene.token)


def _has_left(scene: Scene) -> bool:
    """The neighbour's list has the group without the caller."""
    return str(scene.caller_id) not in [member["id"] for member in _group_of_neighbour(scene)["members"]]


def _group_of_neighbour(scene: Scene) -> dict[str, Any]:
    return entry(scene.owned.neighbour, scene.owned.conversation_id)


def _conversations(scene: Scene) -> list[dict[str, Any]]:
    """The caller's list; none for a caller without a live session."""
    with transaction() as db:
        is_live = db.execute("SELECT FROM users WHERE id = %s AND banned_at IS NULL", [scene.caller_id]).fetchone()
    return inbox(scene.person, limit=100) if scene.person and is_live is not None else []


def _not(effect: Effect) -> Effect:
    return lambda scene: not effect(scene)


_LIKE: Final = "SELECT FROM likes WHERE user_id = %(caller)s AND post_id = %(post)s"
_SAVE: Final = """
    SELECT FROM saves JOIN posts ON id = post_id
     WHERE saves.user_id = %(caller)s AND post_id = %(post)s AND status = 'published'
"""
# A save of an unpublished post is in no list.
_COMMENT_LIKE: Final = "SELECT FROM comment_likes WHERE user_id = %(caller)s AND comment_id = %(comment)s"
_RELATION: Final = """
    SELECT FROM follows WHERE follower_id = %(caller)s AND following_id = %(owner)s
    UNION ALL
    SELECT FROM follow_requests WHERE requester_id = %(caller)s AND target_id = %(owner)s
"""

EFFECTS: Final[dict[str, Effect]] = {
    "": lambda _: False,
    "like": _row(_LIKE),
    "unlike": _no_row(_LIKE),
    "save": _row(_SAVE),
    "unsave": _no_row(_SAVE),
    "comment": _row(
        "SELECT FROM comments"
        " WHERE user_id = %(caller)s AND post_id = %(post)s AND content = 'nice ' || %(token)s::text"
    ),
    "like comment": _row(_COMMENT_LIKE),
    "unlike comment": _no_row(_COMMENT_LIKE),
    "delete post": _row("SELECT FROM posts WHERE id = %(post)s AND status = 'deleted'"),
    "delete comment": _no_row("SELECT FROM comments WHERE id = %(comment)s"),
    "follow or ask": _row(_RELATION),
    "unfollow": _no_row(_RELATION),
    "accept": _row("SELECT FROM follows WHERE follower_id = %(requester)s AND following_id = %(owner)s"),
    "decline": _no_row("SELECT FROM follow_requests WHERE requester_id = %(requester)s AND target_id = %(owner)s"),
    "view story": _row("SELECT FROM story_views WHERE viewer_id = %(caller)s AND story_id = %(story)s"),
    "delete story": _no_row("SELECT FROM stories WHERE id = %(story)s"),
    "change bio": _row("SELECT FROM users WHERE id = %(caller)s AND bio = %(token)s"),
    "create post": _created_post,
    "create upload": _row("SELECT FROM uploads WHERE user_id = %(caller)s"),
    "create story": _row(
        "SELECT FROM stories WHERE user_id = %(caller)s AND filter = 'lark' AND expires_at > now() + interval '23 h'"
    ),
    "open conversation": _has_conversation,
    "open group": _has_group,
    "rename group": _has_name,
    "leave group": _has_left,
    "send": _has_sent,
    "mark read": _has_read,
    "type": _types,
    "react": _has_reacted,
    "remove reaction": _not(_has_reacted),
    "mute": _is_muted,
    "unmute": _not(_is_muted),
    "register": _row("SELECT FROM users WHERE username = 'u_' || %(token)s::text"),
    "end session": _no_row("SELECT FROM sessions WHERE user_id = %(caller)s AND expires_at > now()"),
    "ban": _row("SELECT FROM users WHERE id = %(owner)s AND banned_at IS NOT NULL"),
    "unban": _row("SELECT FROM users WHERE id = %(owner)s AND banned_at IS NULL"),
}
"""By the names that the table uses: whether it is so."""


def _execute(*queries: LiteralString) -> Callable[[Scene], object]:
    def prepare(scene: Scene) -> None:
        values = {"caller": scene.caller_id, "post": scene.owned.post_id, "comment": scene.owned.comment_id}
        with transaction() as db:
            for query in queries:
                db.execute(query, values)

    return prepare


def _react(scene: Scene) -> None:
    assert scene.person
    owned = scene.owned
    path = {"message_id": owned.message_id}
    reply = ask(add_reaction, scene.person, owned.conversation_id, path=path, body={"reaction": "heart"})
    assert reply.status == 201


def _mute(scene: Scene) -> None:
    assert scene.person
    assert ask(mute_conversation, scene.person, scene.owned.conversation_id).status == 200


def _neighbour_types(scene: Scene) -> None:
    assert ask(start_typing, scene.owned.neighbour, scene.owned.conversation_id).status == 200


BEFORE: Final[dict[str, Callable[[Scene], object]]] = {
    "": lambda _: None,
    "liked": _execute(
        "INSERT INTO likes (user_id, post_id) VALUES (%(caller)s, %(post)s)",
        "UPDATE posts SET like_count = like_count + 1 WHERE id = %(post)s",
    ),
    "not saved": _execute("DELETE FROM saves WHERE user_id = %(caller)s AND post_id = %(post)s"),
    "comment liked": _execute(
        "INSERT INTO comment_likes (user_id, comment_id) VALUES (%(caller)s, %(comment)s)",
        "UPDATE comments SET like_count = like_count + 1 WHERE id = %(comment)s",
    ),
    "reacted": _react,
    "muted": _mute,
    "neighbour types": _neighbour_types,
}
"""By the names that the table uses: what has happened before a request."""
