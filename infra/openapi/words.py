"""What no signature says: names for readers, and what fields, headers and limits mean."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from layers.core import errors, repeats
from layers.core.errors import PhotogramError
from layers.core.limits import GENERAL, Limit
from layers.core.request import SESSION_COOKIE

TAGS: Final = {
    "auth": ("Sign-in", "Joining, signing in and out."),
    "users": ("People", "Accounts, who follows whom, and what an account has posted or saved."),
    "posts": ("Posts", "Pictures with a caption; likes and saves."),
    "comments": ("Comments", "Comments on posts, and replies to them."),
    "feed": ("Feed", "Posts of those whom one follows, and posts of others that are worth a look."),
    "stories": ("Stories", "Pictures that live for 24 h."),
    "messages": ("Messages", "Conversations of two accounts and, an extension of the contract, of groups."),
    "live": ("Live", "What happens, as it happens (an extension of the contract; see Live events)."),
    "admin": ("Admin", "For admins only. Each call, reading or writing, is noted with the admin's id."),
    "health": ("Health", "Whether the system and its parts are well. No session, no limit."),
    "docs": ("Documentation", "What stands here, for programs."),
}
"""A folder of functions: how readers call it, and what is in it."""

NOT_FOUND: Final[dict[str, type[PhotogramError]]] = {
    "user": errors.UserNotFound,
    "post_id": errors.PostNotFound,
    "comment_id": errors.CommentNotFound,
    "story_id": errors.StoryNotFound,
    "conversation_id": errors.ConversationNotFound,
    "message_id": errors.MessageNotFound,
}
"""What is not there when a variable of a path names nothing, or nothing that the caller may see."""

_LINK: Final = "A link to the file, to be used as it is (see Pictures)."
FIELDS: Final[dict[str, tuple[str, object]]] = {
    "username": ("", "ada"),
    "email": ("", "ada@example.org"),
    "displayName": ("", "Ada"),
    "bio": ("", "Mountains, mostly."),
    "caption": ("", "Two walks, two mountains. #hiking"),
    "location": ("", "Picos de Europa"),
    "content": ("", "What a light!"),
    "profilePictureUrl": (_LINK, "http://localhost:3000/media/…/avatars/….jpg"),
    "mediaUrl": (_LINK, "http://localhost:3000/media/…/processed/large/…_1080.jpg"),
    "thumbnailUrl": (_LINK, "http://localhost:3000/media/…/processed/thumbnails/…_150.jpg"),
    "thumbnail": (_LINK, "http://localhost:3000/media/…/processed/small/…_320.jpg"),
    "jpeg": (_LINK, "http://localhost:3000/media/…/processed/small/…_320.jpg"),
    "webp": (_LINK, "http://localhost:3000/media/…/processed/small/…_320.webp"),
    "nextCursor": ("Leads on; null on the last page.", "c2lnbmVkLWFuZC1vcGFxdWU"),
    "message": ("What is now, for people.", "You like this post."),
    "idempotent": ("True when nothing changed.", False),
    "isVerified": ("The role is verified or admin.", False),
    "isLiked": ("By the caller.", False),
    "isSaved": ("By the caller.", False),
    "name": ("Of a group.", "Hikers"),
    "unreadCount": ("From others; at most 100, exact below.", 3),
    "lastId": ("Go on from here.", "1795435200000-0"),
    "commentCount": ("Replies count too.", 2),
}
"""What a field means and how it looks wherever it has this name, unless its struct says otherwise."""

HEADERS: Final[dict[str, Any]] = {
    "x-trace-id": {
        "description": "Names this request in our logs: the request's own `x-trace-id`, else a new UUID.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 128},
    },
    "RateLimit-Limit": {
        "description": "How many requests the limit takes in its window.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "RateLimit-Remaining": {"description": "How many are left.", "schema": {"type": "integer", "minimum": 0}},
    "RateLimit-Reset": {
        "description": "Seconds until at least one more is taken.",
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
        "description": "This is the first answer to that `Idempotency-Key`, again.",
        "schema": {"const": "true", "type": "string"},
    },
}
LIMIT_HEADERS: Final = tuple(name for name in HEADERS if name.startswith("RateLimit-"))

IDEMPOTENCY_KEY: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Chosen by the caller, for one thing to create: sent again with the same body within 24 h, the"
    " request gets the first answer again, and nothing is created twice.",
    "schema": {"type": "string", "minLength": 1, "maxLength": repeats.LENGTH, "pattern": "^[!-~]+$"},
}
SESSION: Final[dict[str, Any]] = {
    "type": "apiKey",
    "in": "cookie",
    "name": SESSION_COOKIE,
    "description": "Set by registering and by signing in; a browser keeps and sends it by itself.",
}

_INTRODUCTION: Final = Path(__file__).with_name("introduction.md")


def rate(limit: Limit) -> str:
    """How often, in words."""
    whose = "address" if limit.by_address else "user"
    window = {60: "minute", 3600: "hour"}[limit.seconds]
    what = "failed attempts" if limit.counts_failures else "requests"
    return f"At most {limit.requests} {what} in any {window} per {whose}"


def introduction(limited: Iterable[tuple[Limit, list[str]]]) -> str:
    """introduction.md, with the limits and the operations that each holds for."""
    rows = [(", ".join(f"`{name}`" for name in names), rate(limit)) for limit, names in limited]
    rows += [("everything but health", f"{rate(GENERAL)}, or per address without a session")]
    table = "\n".join(f"| {what} | {how_often} |" for what, how_often in [("what", "how often"), ("---", "---"), *rows])
    return _INTRODUCTION.read_text().replace("{{limits}}", table).strip()
