"""Eight viewers and, for each state, an account with a post, a comment with a reply, a story and a conversation."""

import functools
import secrets
from collections.abc import Mapping
from uuid import UUID

import msgspec

from functions.comments import create_comment
from functions.messages import leave_group
from functions.posts import delete_post, like_post, save_post
from functions.stories import delete_story, view_story
from layers.core.ids import new_id
from layers.media import renditions, story_media
from layers.media.renditions import RenderedPhoto
from layers.postgres import bans
from layers.postgres.connection import transaction
from layers.services import sessions
from layers.valkey import timelines
from tests import pictures
from tests.integration.visibility.table import STATES, VIEWERS
from tests.support.calls import call
from tests.support.feed_posts import publish_post
from tests.support.messages import ask, create_group, open_pair, send_text
from tests.support.people import Person, follow, new_person
from tests.support.renditions import store_renditions
from tests.support.stories import HOUR, grow_older, new_story

RELATE = """
    WITH followed AS (
        INSERT INTO follows (follower_id, following_id) SELECT unnest(%(followers)s::uuid[]), %(owner)s
        RETURNING follower_id
    ), counted AS (
        UPDATE users
           SET follower_count = follower_count
                              + CASE WHEN id = %(owner)s THEN cardinality(%(followers)s::uuid[]) ELSE 0 END,
               following_count = following_count + CASE WHEN id = %(owner)s THEN 0 ELSE 1 END
         WHERE id = %(owner)s OR id = ANY(%(followers)s)
    ), saved AS (
        INSERT INTO saves (user_id, post_id) SELECT unnest(%(savers)s::uuid[]), %(post)s
    )
    INSERT INTO follow_requests (requester_id, target_id) SELECT unnest(%(requested)s::uuid[]), %(owner)s
"""


class Owned(msgspec.Struct, kw_only=True):
    """An account in its state and what is its."""

    state: str
    owner: Person
    neighbour: Person
    """Likes, saves, comments and follows, so that lists have something to show."""
    requester: Person
    """Has asked to follow a private account."""
    post_id: UUID
    caption: str
    comment_id: UUID
    comment: str
    reply: str
    story_id: UUID
    conversation_id: UUID
    """With the neighbour."""
    message_id: UUID
    message: str

    def marks(self) -> dict[str, tuple[str, ...]]:
        """By what a row of the table shows: the texts that show it, all of them."""
        return {
            "post": (str(self.post_id),),
            "post and caption": (str(self.post_id), self.caption),
            "comment": (str(self.comment_id), self.comment),
            "reply": (self.reply,),
            "story": (str(self.story_id),),
            "name": (self.owner.username,),
            "owner's id": (str(self.owner.id),),
            "message": (self.message,),
            "message's id": (str(self.message_id),),
            "neighbour": (self.neighbour.username,),
            "neighbour's id": (str(self.neighbour.id),),
            "requester": (self.requester.username,),
        }

    @property
    def score(self) -> int:
        """By which explore orders its post."""
        with transaction() as db:
            row = db.execute(
                "SELECT like_count + 2 * comment_count FROM posts WHERE id = %s", [self.post_id]
            ).fetchone()
        return row[0] if row else 0

    @property
    def post_marks(self) -> tuple[str, ...]:
        """What no answer holds for a viewer who may not see the post."""
        return (str(self.post_id), self.caption, self.comment, self.reply)


class World:
    """All of them, with their relations."""

    def __init__(self) -> None:
        self.viewers = {
            name: new_person(name, role="admin" if name == "admin" else "user")
            for name in VIEWERS
            if name not in ("anonymous", "owner")
        }
        self.owned = {state: make_owned(state, self.viewers) for state in STATES}
        for state, owned in self.owned.items():
            if state != "deleted":
                _render(owned)
        _ban(self.viewers["banned"])

    def viewer(self, name: str, owned: Owned) -> Person | None:
        """Who asks; None is anonymous."""
        return owned.owner if name == "owner" else self.viewers.get(name)


def make_viewer(name: str, state: str, *, has_conversation: bool = True) -> tuple[Owned, Person | None]:
    """An account of its own in that state, and such a viewer, without relations to any other account.

    The post and the story have no pictures, and the account a conversation only if it is asked for: both take time.
    """
    if name in ("anonymous", "owner"):
        owned = make_owned(state, {}, has_conversation=has_conversation)
        return owned, owned.owner if name == "owner" else None
    person = new_person(name, role="admin" if name == "admin" else "user")
    owned = make_owned(state, {name: person}, has_conversation=has_conversation)
    if name == "banned":
        _ban(person)
    return owned, person


def make_group() -> tuple[Owned, dict[str, Person]]:
    """A public account and a group that it has created, with a message of its neighbour; and all viewers of it."""
    owned = make_owned("public", {})
    names = ("outsider", "admin", "member", "admin_member", "left", "banned")
    viewers = {name: new_person(name, role="admin" if "admin" in name else "user") for name in names}
    members = [viewers[name] for name in ("member", "admin_member", "left", "banned")]
    group = create_group(owned.owner, owned.neighbour, *members)
    message = send_text(owned.neighbour, group, f"message-{secrets.token_hex(4)}")
    assert ask(leave_group, viewers["left"], group).status == 200
    _ban(viewers["banned"])
    owned = msgspec.structs.replace(
        owned,
        state="group",
        conversation_id=group,
        message_id=UUID(message["messageId"]),
        message=message["content"],
    )
    return owned, viewers | {"creator": owned.owner}


def make_owned(state: str, viewers: Mapping[str, Person], *, has_conversation: bool = True) -> Owned:
    """An account in that state with all that it owns, and each viewer's relation to it."""
    token = secrets.token_hex(4)
    owner, neighbour, requester = new_person(f"own_{state[:6]}"), new_person("nb"), new_person("req")
    post_id = publish_post(owner)
    with transaction() as db:
        db.execute("UPDATE posts SET caption = %s WHERE id = %s", [f"caption-{token}", post_id])
    path = {"post_id": post_id}
    for module in (like_post, save_post):
        assert call(module, session_id=neighbour.session_id, path=path).status == 200
    comment = _commented(neighbour, post_id, f"comment-{token}")
    _commented(neighbour, post_id, f"reply-{token}", parentCommentId=str(comment))
    story_id = new_story(owner)
    call(view_story, session_id=neighbour.session_id, path={"story_id": story_id})
    conversation_id, message_id = new_id(), new_id()
    if has_conversation:
        conversation_id = open_pair(owner, neighbour)
        message_id = UUID(send_text(neighbour, conversation_id, f"message-{token}")["messageId"])
    follow(neighbour, owner)
    follow(owner, neighbour)
    owned = Owned(
        state=state,
        owner=owner,
        neighbour=neighbour,
        requester=requester,
        post_id=post_id,
        caption=f"caption-{token}",
        comment_id=comment,
        comment=f"comment-{token}",
        reply=f"reply-{token}",
        story_id=story_id,
        conversation_id=conversation_id,
        message_id=message_id,
        message=f"message-{token}",
    )
    _settle(owned, viewers)
    return owned


def _settle(owned: Owned, viewers: Mapping[str, Person]) -> None:
    owner, is_private = owned.owner, owned.state != "public"
    requesters = [owned.requester, *(person for name, person in viewers.items() if name == "requested")]
    followers = [person.id for name, person in viewers.items() if name == "follower"]
    values: dict[str, object] = {
        "owner": owner.id,
        "post": owned.post_id,
        "followers": followers,
        "savers": [owner.id, *(person.id for person in viewers.values())],
        "requested": [person.id for person in requesters if is_private],
    }
    with transaction() as db:
        db.execute("UPDATE users SET is_private = %s WHERE id = %s", [is_private, owner.id])
        db.execute(RELATE, values)
        if owned.state == "processing":
            db.execute("UPDATE posts SET status = 'processing' WHERE id = %s", [owned.post_id])
            db.execute("UPDATE users SET post_count = post_count - 1 WHERE id = %s", [owner.id])
            db.execute("UPDATE post_media SET status = 'processing' WHERE post_id = %s", [owned.post_id])
    timelines.add_followed_for_all([*followers, owner.id], owner.id)
    if owned.state == "deleted":
        for module, path in (
            (delete_post, {"post_id": owned.post_id}),
            (delete_story, {"story_id": owned.story_id}),
        ):
            assert call(module, session_id=owner.session_id, path=path).status == 200
    if owned.state == "expired":
        grow_older(owned.story_id, seconds=25 * HOUR)
    if owned.state == "owner_banned":
        _ban(owner)


def _render(owned: Owned) -> None:
    """Store the pictures of the post and the story."""
    store_renditions(owned.post_id, 0, _photo())
    story_media.save(owned.story_id, _story())


@functools.cache
def _photo() -> RenderedPhoto:
    return renditions.render_photo(pictures.jpeg(40, 30))


@functools.cache
def _story() -> RenderedPhoto:
    return renditions.render_story(pictures.jpeg(40, 30))


def _commented(person: Person, post_id: UUID, content: str, **given: str) -> UUID:
    body = {"content": content, **given}
    reply = call(create_comment, session_id=person.session_id, path={"post_id": post_id}, body=body)
    assert reply.status == 201, reply.body
    return UUID(reply.json["comment"]["id"])


def _ban(person: Person) -> None:
    with transaction() as db:
        banned = bans.ban(db, user_id=person.id)
    assert sessions.apply_revocation(banned.revocation)
