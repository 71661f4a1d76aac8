"""What samples mean in the running system: who sends them, what their ids stand for, and what must be so before.

A sample is an event as AWS sends it, so its ids must have the form of ids. `STAND_INS` has the ones that stand for
something of the demo; `BEFORE` has the requests that give a function something to do. Both use the running API, as any
client does.
"""

import base64
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote
from uuid import uuid4

import msgspec

from infra import template_map
from infra.demo import ADMIN
from infra.environments import handlers
from infra.environments.handlers import Handler
from infra.invoke.accounts import Accounts, NotPrepared
from infra.invoke.events import cookie, is_http, read_event
from infra.template_map import Function
from layers.core.models import Viewer
from layers.core.settings import settings
from layers.entrypoints.signature import ROLES, Signature
from layers.postgres.connection import transaction

ADA: Final = "ada"
GRACE: Final = "grace"
LINUS: Final = "linus"
NEWCOMER: Final = "newcomer"
"""The account that the sample of auth/register creates; samples that ban or remove an account do it to this one."""
SENDERS: Final = dict.fromkeys(("users/accept_follow_request", "users/decline_follow_request"), "dorothy")
"""Who sends a sample that neither `ada` nor the admin can send: only a private account has follow requests."""

_PUBLISH_SECONDS: Final = 60
_PAUSE_SECONDS: Final = 0.1
_MISSING: Final = (HTTPStatus.NOT_FOUND,)
_CONFLICT: Final = (HTTPStatus.CONFLICT,)


class Request(msgspec.Struct, frozen=True):
    """A request to the API; its path may name variables of the sample's path, and the id of its `{sender}`."""

    method: str
    path: str
    by: str | None = None
    """The account; None for the sender of the sample."""
    json: Mapping[str, object] | None = None


BEFORE: Final[Mapping[str, tuple[Request, ...]]] = {
    "admin/unban_user": (Request("DELETE", "/admin/users/{user}?mode=ban"),),
    "comments/like_comment": (Request("DELETE", "/comments/{comment_id}/like"),),
    "comments/unlike_comment": (Request("POST", "/comments/{comment_id}/like"),),
    "messages/mute_conversation": (Request("DELETE", "/messages/conversations/{conversation_id}/mute"),),
    "messages/unmute_conversation": (Request("PUT", "/messages/conversations/{conversation_id}/mute"),),
    "messages/remove_reaction": (
        Request(
            "POST",
            "/messages/conversations/{conversation_id}/messages/{message_id}/reactions",
            json={"reaction": "heart"},
        ),
    ),
    "posts/like_post": (Request("DELETE", "/posts/{post_id}/like"),),
    "posts/unlike_post": (Request("POST", "/posts/{post_id}/like"),),
    "posts/save_post": (Request("DELETE", "/posts/{post_id}/save"),),
    "posts/unsave_post": (Request("POST", "/posts/{post_id}/save"),),
    "users/follow_user": (Request("DELETE", "/users/{user}/follow"),),
    "users/unfollow_user": (Request("POST", "/users/{user}/follow"),),
    "users/accept_follow_request": (
        Request("DELETE", "/users/{sender}/follow", by=NEWCOMER),
        Request("POST", "/users/{sender}/follow", by=NEWCOMER),
    ),
    "users/decline_follow_request": (
        Request("DELETE", "/users/{sender}/follow", by=NEWCOMER),
        Request("POST", "/users/{sender}/follow", by=NEWCOMER),
    ),
}
"""By function, the requests that are sent before its sample."""


def default_sender(function: Function, event: Mapping[str, Any], handler: Handler) -> str | None:
    """Who sends an event without a session: `ada`, the admin if the function wants one, None if it takes no session."""
    if function.name in SENDERS:
        return SENDERS[function.name]
    signature: Signature | None = getattr(handler, "signature", None)
    if is_http(event) and signature and signature.takes_viewer:
        return ADA if "user" in ROLES[signature.viewer or Viewer] else ADMIN
    return ADA if cookie(event) else None


def fill(event: Mapping[str, Any], sender: str | None, accounts: Accounts) -> dict[str, Any]:
    """The event with what its ids stand for. Raises `accounts.ERRORS`."""
    system = RunningSystem(accounts, sender or ADA)
    for batch in (event.get("rmqMessagesByQueue") or {}).values():
        for message in batch:
            body = _replace(base64.b64decode(message["data"]).decode(), system)
            message["data"] = base64.b64encode(body.encode()).decode()
            message["basicProperties"]["bodySize"] = len(body.encode())
    filled: dict[str, Any] = msgspec.json.decode(_replace(msgspec.json.encode(event).decode(), system))
    return filled


def prepare(event: Mapping[str, Any], function: Function, sender: str | None, accounts: Accounts) -> None:
    """Send the requests that must come before this sample. Raises `accounts.ERRORS`."""
    sender = sender or ADA
    system = RunningSystem(accounts, sender)
    if special := _SPECIAL.get(function.name):
        special(system, event)
    requests = BEFORE.get(function.name, ())
    variables = {**(event.get("pathParameters") or {})}
    if any("{sender}" in each.path for each in requests):
        variables["sender"] = system.account(sender)
    for each in requests:
        path = each.path.format(**{name: quote(value, safe="") for name, value in variables.items()})
        accounts.request(each.method, path, by=each.by or sender, json=each.json)


def _replace(text: str, system: "RunningSystem") -> str:
    """The text with each stand-in replaced, also in the encoding of URLs."""
    for stand_in, find in STAND_INS.items():
        found = ""
        for encode in (str, _quote):
            if encode(stand_in) in text:
                found = found or find(system)
                text = text.replace(encode(stand_in), encode(found))
    return text


def _quote(text: str) -> str:
    return quote(text, safe="")


class RunningSystem:
    """What samples need of the running system, found or made through its API for the sender of a sample."""

    def __init__(self, accounts: Accounts, sender: str) -> None:
        self._accounts = accounts
        self.sender = sender
        self.partner = ADA if sender == GRACE else GRACE
        """With whom the sender talks."""

    def account(self, username: str) -> str:
        """The id of an account."""
        found: str = self._accounts.get(f"/users/{username}", by=ADMIN)["user"]["id"]
        return found

    def newcomer(self) -> str:
        """The newcomer's id; the account is created if it is missing, and its ban ended."""
        sample = read_event(None, template_map.function("auth/register"))
        self._accounts.request("POST", "/auth/register", json=msgspec.json.decode(sample["body"]), accepts=_CONFLICT)
        user_id = self.account(NEWCOMER)
        self._accounts.request("POST", f"/admin/users/{user_id}/unban", by=ADMIN)
        return user_id

    def without_newcomer(self, _event: object) -> None:
        """Remove the newcomer's account, if there is one."""
        found = self._accounts.request("GET", f"/users/{NEWCOMER}", by=ADMIN, accepts=_MISSING)
        if found:
            self._accounts.request("DELETE", f"/admin/users/{found['user']['id']}?mode=delete", by=ADMIN)

    def newest_post(self) -> str:
        """The newest post of grace."""
        listed = self._accounts.get(f"/users/{GRACE}/posts?limit=1", by=GRACE)["posts"]
        return listed[0]["id"] if listed else self.published_post(GRACE)

    def new_post(self, author: str | None = None) -> str:
        """A post that the sender, or another account, makes now; it is still being processed."""
        sample = read_event(None, template_map.function("posts/create_post"))
        post_id: str = self._accounts.send(sample, by=author or self.sender)["post_id"]
        return post_id

    def published_post(self, author: str) -> str:
        """A post that an account makes now, after it was published."""
        post_id = self.new_post(author)
        ends_at = time.monotonic() + _PUBLISH_SECONDS
        while self._accounts.get(f"/posts/{post_id}", by=author)["post"]["status"] != "published":
            if time.monotonic() > ends_at:
                raise NotPrepared(f"The post {post_id} is still being processed. Check the stack with: make status")
            time.sleep(_PAUSE_SECONDS)
        return post_id

    def unprocessed_picture(self) -> str:
        """The key, without its prefix, of the picture of a new post of the newcomer, which is to be processed again."""
        self.newcomer()
        post_id = self.published_post(NEWCOMER)
        with transaction() as db:
            db.execute(REPROCESS, {"post_id": post_id})
            row = db.execute(ORIGINAL, {"post_id": post_id}).fetchone()
        original: str = row[0] if row else ""
        return original.removeprefix("originals/")

    def newest_comment(self) -> str:
        """The newest comment on that post; the sender writes one if there is none."""
        listed = self._accounts.get(f"/posts/{self.newest_post()}/comments?limit=1", by=GRACE)["comments"]
        return listed[0]["id"] if listed else self.new_comment()

    def new_comment(self) -> str:
        """A comment that the sender writes now on that post."""
        path = f"/posts/{self.newest_post()}/comments"
        created: str = self._accounts.request("POST", path, by=self.sender, json={"content": "Look at this."})[
            "comment"
        ]["id"]
        return created

    def newest_story(self, author: str | None = None) -> str:
        """The newest story of the sender, or of another account, who posts one if there is none."""
        author = author or self.sender
        listed = self._accounts.get("/stories/me", by=author)["stories"]
        return listed[-1]["id"] if listed else self.new_story(author)

    def new_story(self, author: str | None = None) -> str:
        """A story that the sender, or another account, posts now."""
        sample = read_event(None, template_map.function("stories/create_story"))
        story_id: str = self._accounts.send(sample, by=author or self.sender)["story"]["id"]
        return story_id

    def conversation(self) -> str:
        """The conversation of the sender with grace, or of grace with ada."""
        return self._conversation(self.sender, self.partner)

    def newest_message(self) -> str:
        """The newest message of that conversation; the partner writes one if there is none."""
        path = f"/messages/conversations/{self.conversation()}"
        listed = self._accounts.get(f"{path}?limit=1", by=self.sender)["messages"]
        return listed[0]["messageId"] if listed else self._write(self.partner, path)

    def group(self) -> str:
        """The sender's newest group; one is opened if there is none."""
        listed = self._accounts.get("/messages/conversations?limit=100", by=self.sender)["conversations"]
        return next((each["conversationId"] for each in listed if each.get("isGroup")), "") or self.new_group()

    def new_group(self) -> str:
        """A group that the sender opens now."""
        others = [name for name in (ADA, GRACE, LINUS) if name != self.sender][:2]
        body = {"name": "Sample", "userIds": [self.account(name) for name in others]}
        opened: str = self._accounts.request("POST", "/messages/groups", by=self.sender, json=body)["conversationId"]
        return opened

    def write_to_sender(self, _event: object) -> None:
        """Let the newcomer write a message to ada."""
        self._write(NEWCOMER, f"/messages/conversations/{self._conversation(NEWCOMER, ADA)}")

    def open_connection(self, event: Mapping[str, Any]) -> None:
        """Let the sender open the live connection of an event, as live/connect does."""
        connect = template_map.function("live/connect")
        sample = read_event(None, connect)
        session = f"session_id={self._accounts.sign_in(self.sender)}"
        sample["headers"]["cookie"], sample["multiValueHeaders"]["cookie"] = session, [session]
        sample["headers"]["origin"] = settings().own_origins.split(",")[0]
        sample["requestContext"]["connectionId"] = event["requestContext"]["connectionId"]
        reply = handlers.load(connect.handler)(sample, None)
        if reply["statusCode"] != HTTPStatus.OK:
            raise NotPrepared(f"The live connection was refused: {reply}")

    def _conversation(self, first: str, second: str) -> str:
        body = {"recipientId": self.account(second)}
        opened: str = self._accounts.request("POST", "/messages/conversations", by=first, json=body)["conversationId"]
        return opened

    def _write(self, author: str, path: str) -> str:
        sent: str = self._accounts.request("POST", path, by=author, json={"content": "Hello."})["message"]["messageId"]
        return sent


STAND_INS: Final[Mapping[str, Callable[[RunningSystem], str]]] = {
    "http://localhost:3000": lambda _: settings().own_origins.split(",")[0],
    "00000000-0000-7000-8000-000000000001": lambda system: system.account(ADA),
    "00000000-0000-7000-8000-000000000002": lambda system: system.account(GRACE),
    "00000000-0000-7000-8000-000000000003": lambda system: system.account(LINUS),
    "00000000-0000-7000-8000-000000000009": RunningSystem.newcomer,
    "00000000-0000-7000-8000-000000000101": RunningSystem.newest_post,
    "00000000-0000-7000-8000-000000000102": RunningSystem.new_post,
    "2026/11/23/00000000-0000-7000-8000-000000000103-0.jpg": RunningSystem.unprocessed_picture,
    "00000000-0000-7000-8000-000000000201": RunningSystem.newest_comment,
    "00000000-0000-7000-8000-000000000202": RunningSystem.new_comment,
    "00000000-0000-7000-8000-000000000301": lambda system: system.newest_story(GRACE),
    "00000000-0000-7000-8000-000000000302": RunningSystem.newest_story,
    "00000000-0000-7000-8000-000000000303": RunningSystem.new_story,
    "00000000-0000-7000-8000-000000000401": RunningSystem.conversation,
    "00000000-0000-7000-8000-000000000402": RunningSystem.group,
    "00000000-0000-7000-8000-000000000403": RunningSystem.new_group,
    "1f0d2c3e-4b5a-11f1-8000-0242ac120002": RunningSystem.newest_message,
    "00000000-0000-7000-8000-000000000901": lambda _: str(uuid4()),
}
"""What the ids and the origin in samples stand for, each named by the function that finds or makes it."""

_SPECIAL: Final[Mapping[str, Callable[[RunningSystem, Mapping[str, Any]], None]]] = {
    "auth/register": RunningSystem.without_newcomer,
    "messages/remove_messages": RunningSystem.write_to_sender,
    "live/receive": RunningSystem.open_connection,
    "live/disconnect": RunningSystem.open_connection,
}
"""By function, what must be so before its sample and is more than a request."""

REPROCESS: Final = """
    WITH post AS (
        UPDATE posts SET status = 'processing', published_at = NULL, version = version + 1, updated_at = now()
         WHERE id = %(post_id)s AND status = 'published'
        RETURNING id, user_id
    ), picture AS (
        UPDATE post_media SET status = 'processing', width = NULL, height = NULL WHERE post_id IN (SELECT id FROM post)
    )
    UPDATE users SET post_count = post_count - 1 FROM post WHERE users.id = post.user_id
"""
"""Takes a post back to the state before its picture was processed; no request of the API does."""

ORIGINAL: Final = "SELECT original_key FROM post_media WHERE post_id = %(post_id)s AND order_index = 0"
