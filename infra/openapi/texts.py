"""Texts of the description that no signature contains: names of areas, meanings of fields, headers and limits."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from layers.core import errors
from layers.core.errors import PhotogramError
from layers.core.limits import GENERAL, Limit
from layers.entrypoints import idempotency
from layers.entrypoints.request import SESSION_COOKIE

TAGS: Final = {
    "auth": ("Sign-in", "Registration, sign-in and sign-out."),
    "users": ("Users", "Accounts, follows, and the posts of an account or those that it saved."),
    "posts": ("Posts", "Posts of pictures with a caption; likes and saves."),
    "comments": ("Comments", "Comments on posts, and replies to them."),
    "feed": ("Feed", "Posts of the accounts that the caller follows, and popular posts of other accounts."),
    "stories": ("Stories", "Pictures that are deleted after 24 hours."),
    "messages": ("Messages", "Conversations of two accounts and, an extension of the contract, of groups."),
    "live": ("Live", "Live events (an extension of the contract; see Live events above)."),
    "admin": ("Admin", "For admins only. Every call is recorded with the admin's id."),
    "health": ("Health", "Health checks, without a session and without rate limits."),
    "docs": ("Documentation", "This description in a machine-readable form."),
}
"""The name and the description of each folder of functions."""

NOT_FOUND: Final[dict[str, type[PhotogramError]]] = {
    "user": errors.UserNotFound,
    "post_id": errors.PostNotFound,
    "comment_id": errors.CommentNotFound,
    "story_id": errors.StoryNotFound,
    "conversation_id": errors.ConversationNotFound,
    "message_id": errors.MessageNotFound,
}
"""The error for a path variable that names nothing, or nothing that the caller may see."""

_LINK: Final = "A signed link to the file (see Pictures). Do not change it."
FIELDS: Final[dict[str, tuple[str, object]]] = {
    "username": ("", "ada"),
    "email": ("", "ada@example.org"),
    "displayName": ("", "Ada"),
    "bio": ("", "Mountains, mostly."),
    "caption": ("", "Two walks, two mountains. #hiking"),
    "location": ("", "Picos de Europa"),
    "content": ("", "What a light!"),
    "profilePictureUrl": (_LINK, "http://localhost:3000/media/…/….jpg"),
    "mediaUrl": (_LINK, "http://localhost:3000/media/…/…_1080.jpg"),
    "thumbnailUrl": (_LINK, "http://localhost:3000/media/…/…_150.jpg"),
    "thumbnail": (_LINK, "http://localhost:3000/media/…/…_320.jpg"),
    "nextCursor": ("The cursor of the next page; null on the last page.", "c2lnbmVkLWFuZC1vcGFxdWU"),
    "message": ("The result as text for users.", "You like this post."),
    "idempotent": ("True if the request changed nothing.", False),
    "isVerified": ("True if the role is verified or admin.", False),
    "isLiked": ("True if the caller likes it.", False),
    "isSaved": ("True if the caller saved it.", False),
    "name": ("The name of a group.", "Hikers"),
    "unreadCount": ("Unread messages from others; 100 means 100 or more.", 3),
    "lastId": ("The id after which the next request continues.", "1795435200000-0"),
    "commentCount": ("Comments including replies.", 2),
}
"""The description and an example of fields by name; a docstring in the struct replaces the description."""

HEADERS: Final[dict[str, Any]] = {
    "x-trace-id": {
        "description": "The request's id in the server's logs: the `x-trace-id` of the request, otherwise a new UUID.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 128},
    },
    "RateLimit-Limit": {
        "description": "The number of requests that the limit allows in its window.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "RateLimit-Remaining": {"description": "The number of requests left.", "schema": {"type": "integer", "minimum": 0}},
    "RateLimit-Reset": {
        "description": "Seconds until at least one more request is allowed.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "RateLimit-Policy": {
        "description": "The limit and its window in seconds.",
        "schema": {"type": "string", "pattern": "^[0-9]+;w=[0-9]+$", "examples": ["100;w=3600"]},
    },
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}},
    "Set-Cookie": {
        "description": f"The session, for a day from now: `{SESSION_COOKIE}=…; HttpOnly; SameSite=Lax; Path=/`.",
        "schema": {"type": "string"},
    },
    "Idempotent-Replayed": {
        "description": "Present if this is the stored answer to an earlier request with the same `Idempotency-Key`.",
        "schema": {"const": "true", "type": "string"},
    },
}
LIMIT_HEADERS: Final = tuple(name for name in HEADERS if name.startswith("RateLimit-"))

IDEMPOTENCY_KEY: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Chosen by the caller, a new one for each thing to create. A request with the same key and the same"
    " body within 24 hours gets the first answer again, and nothing is created twice.",
    "schema": {"type": "string", "minLength": 1, "maxLength": idempotency.LENGTH, "pattern": "^[!-~]+$"},
}
SESSION: Final[dict[str, Any]] = {
    "type": "apiKey",
    "in": "cookie",
    "name": SESSION_COOKIE,
    "description": "Set by registration and sign-in; browsers store and send it automatically.",
}

_INTRODUCTION: Final = Path(__file__).with_name("introduction.md")


def rate(limit: Limit) -> str:
    """The limit as a phrase: `At most 100 requests in any hour per user`."""
    subject = "address" if limit.by_address else "user"
    window = {60: "minute", 3600: "hour"}[limit.seconds]
    what = "failed attempts" if limit.counts_failures else "requests"
    return f"At most {limit.requests} {what} in any {window} per {subject}"


def introduction(operations: Iterable[tuple[Limit, list[str]]]) -> str:
    """introduction.md with a table of the limits and their operations."""
    rows = [(", ".join(f"`{name}`" for name in names), rate(limit)) for limit, names in operations]
    rows += [("all except health checks", f"{rate(GENERAL)}, or per address without a session")]
    table = "\n".join(f"| {names} | {limit} |" for names, limit in [("operations", "limit"), ("---", "---"), *rows])
    return _INTRODUCTION.read_text().replace("{{limits}}", table).strip()
