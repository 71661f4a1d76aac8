"""The one table of who sees what: every route, every kind of viewer, every state of what the route is about.

A cell is what the answer must be: a status that refuses, `+` for a success that shows what the row is about, `-` for
one that does not (or has nothing to show), `.` where there is no such viewer (nobody's request to a public account
waits). The columns stand for VIEWERS, the lines for STATES.
"""

from typing import Final

import msgspec

VIEWERS: Final = ("anonymous", "stranger", "requested", "follower", "former", "owner", "banned", "admin")
"""`requested` has asked to follow, `former` followed once, `banned` still holds the cookie of a session that a ban
ended; so does the owner where the owner is banned.
"""

STATES: Final = ("public", "private", "processing", "deleted", "expired", "owner_banned")
"""Of the account, or of its one post and story; all but the first belong to private accounts.

`processing` has a post that is not published, `expired` a story past its end, `deleted` neither any more.
"""

type Cells = dict[str, dict[str, str]]


def _cells(**lines: str) -> Cells:
    assert tuple(lines) == STATES
    return {state: dict(zip(VIEWERS, line.split(), strict=True)) for state, line in lines.items()}


def _always(line: str) -> Cells:
    """For routes that are about nobody's content."""
    return _cells(**dict.fromkeys(STATES, line))


def _silent(cells: Cells) -> Cells:
    """The same, by an answer that shows nothing."""
    return {
        state: {viewer: "-" if cell == "+" else cell for viewer, cell in line.items()} for state, line in cells.items()
    }


# fmt: off
#                       anon  str   req   fol   form  own   ban   adm
_NOBODY: Final =       "404   404   404   404   404   404   404   404"
_NOBODY_SIGNED: Final = "401  404   404   404   404   404   401   404"

POST_READ: Final = _cells(
    public=            "+     +     +     +     +     +     +     +",
    private=           "404   404   404   +     404   +     404   +",
    processing=        "404   404   404   404   404   +     404   +",
    deleted=           _NOBODY,
    expired=           "404   404   404   +     404   +     404   +",
    owner_banned=      "404   404   404   404   404   404   404   +",
)
"""R-P1: a single resource, or what hangs on one: 404 as for one that does not exist. Anybody may ask (R-P3)."""

POST_WRITE: Final = _cells(
    public=            "401   -     -     -     -     -     401   -",
    private=           "401   404   404   -     404   -     401   -",
    processing=        _NOBODY_SIGNED,
    deleted=           _NOBODY_SIGNED,
    expired=           "401   404   404   -     404   -     401   -",
    owner_banned=      "401   404   404   404   404   401   401   -",
)
"""Whoever may view a published post may like, save and comment."""

TAKE_BACK: Final = _cells(
    public=            "401   -     -     -     -     -     401   -",
    private=           "401   -     -     -     -     -     401   -",
    processing=        _NOBODY_SIGNED,
    deleted=           _NOBODY_SIGNED,
    expired=           "401   -     -     -     -     -     401   -",
    owner_banned=      "401   -     -     -     -     401   401   -",
)
"""What is one's own may be taken back, whoever has shut one out since: here all have saved the post."""

POST_DELETE: Final = _cells(
    public=            "401   403   403   403   403   -     401   -",
    private=           "401   404   404   403   404   -     401   -",
    processing=        "401   404   404   404   404   -     401   -",
    deleted=           _NOBODY_SIGNED,
    expired=           "401   404   404   403   404   -     401   -",
    owner_banned=      "401   404   404   404   404   401   401   -",
)
"""P3: visible and not one's own is 403."""

COMMENT_DELETE: Final = POST_DELETE
"""C3, of somebody else's comment: its author, the post's owner and admins may."""

ACCOUNT_LIST: Final = _cells(
    public=            "+     +     +     +     +     +     +     +",
    private=           "403   403   403   +     403   +     403   +",
    processing=        "403   403   403   -     403   -     403   -",
    deleted=           "403   403   403   -     403   -     403   -",
    expired=           "403   403   403   +     403   +     403   +",
    owner_banned=      "404   404   404   404   404   404   404   +",
)
"""R-P1: the lists that hang on a public header are 403; only published posts are in them (R-F4)."""

PEOPLE_LIST: Final = _cells(
    public=            "+     +     +     +     +     +     +     +",
    private=           "403   403   403   +     403   +     403   +",
    processing=        "403   403   403   +     403   +     403   +",
    deleted=           "403   403   403   +     403   +     403   +",
    expired=           "403   403   403   +     403   +     403   +",
    owner_banned=      "404   404   404   404   404   404   404   +",
)

HEADER: Final = _cells(
    public=            "+     +     +     +     +     +     +     +",
    private=           "+     +     +     +     +     +     +     +",
    processing=        "+     +     +     +     +     +     +     +",
    deleted=           "+     +     +     +     +     +     +     +",
    expired=           "+     +     +     +     +     +     +     +",
    owner_banned=      "-     -     -     -     -     -     -     +",
)
"""R-P5: search shows private accounts, and banned ones to nobody but admins."""

PROFILE: Final = HEADER | {
    "owner_banned": {viewer: "404" if cell == "-" else cell for viewer, cell in HEADER["owner_banned"].items()}
}
"""U1: headers are public; a banned account's is 404."""

EXPLORE: Final = _cells(
    public=            "+     +     .     -     +     -     +     +",
    private=           "-     -     -     -     -     -     -     -",
    processing=        "-     -     -     -     -     -     -     -",
    deleted=           "-     -     -     -     -     -     -     -",
    expired=           "-     -     -     -     -     -     -     -",
    owner_banned=      "-     -     -     -     -     -     -     -",
)
"""F2, R-P5: never private accounts, and neither one's own posts nor those that the feed shows."""

FEED: Final = _cells(
    public=            "401   -     .     +     -     +     401   -",
    private=           "401   -     -     +     -     +     401   -",
    processing=        "401   -     -     -     -     -     401   -",
    deleted=           "401   -     -     -     -     -     401   -",
    expired=           "401   -     -     +     -     +     401   -",
    owner_banned=      "401   -     -     -     -     401   401   -",
)
"""F1: what one follows, and one's own; R-F4, R-P4."""

SAVED: Final = _cells(
    public=            "401   +     +     +     +     +     401   +",
    private=           "401   -     -     +     -     +     401   +",
    processing=        "401   -     -     -     -     -     401   -",
    deleted=           "401   -     -     -     -     -     401   -",
    expired=           "401   -     -     +     -     +     401   +",
    owner_banned=      "401   -     -     -     -     401   401   +",
)
"""U4: everybody saved every post once; what may no longer be viewed is left out."""

TRAY: Final = _cells(
    public=            "401   -     .     +     -     +     401   -",
    private=           "401   -     -     +     -     +     401   -",
    processing=        "401   -     -     +     -     +     401   -",
    deleted=           "401   -     -     -     -     -     401   -",
    expired=           "401   -     -     -     -     -     401   -",
    owner_banned=      "401   -     -     -     -     401   401   -",
)
"""S2: R-S1, R-S7."""

STORY_LIST: Final = _cells(
    public=            "401   +     +     +     +     +     401   +",
    private=           "401   403   403   +     403   +     401   +",
    processing=        "401   403   403   +     403   +     401   +",
    deleted=           "401   403   403   -     403   -     401   -",
    expired=           "401   403   403   -     403   -     401   -",
    owner_banned=      "401   404   404   404   404   401   401   +",
)
"""S5: a session is needed (R-P3), and 403 for a private account's (R-S7)."""

STORY_READ: Final = _cells(
    public=            "401   +     +     +     +     +     401   +",
    private=           "401   404   404   +     404   +     401   +",
    processing=        "401   404   404   +     404   +     401   +",
    deleted=           _NOBODY_SIGNED,
    expired=           _NOBODY_SIGNED,
    owner_banned=      "401   404   404   404   404   401   401   +",
)
"""S6; R-S1: past its end a story exists for nobody, R-S7."""

STORY_VIEW: Final = _silent(STORY_READ)

STORY_OWN: Final = _cells(
    public=            "401   403   403   403   403   +     401   +",
    private=           "401   404   404   403   404   +     401   +",
    processing=        "401   404   404   403   404   +     401   +",
    deleted=           _NOBODY_SIGNED,
    expired=           _NOBODY_SIGNED,
    owner_banned=      "401   404   404   404   404   401   401   +",
)
"""S8: who saw it is told to its owner and admins."""

STORY_DELETE: Final = _silent(STORY_OWN)

FOLLOW: Final = _cells(
    public=            "401   -     -     -     -     400   401   -",
    private=           "401   -     -     -     -     400   401   -",
    processing=        "401   -     -     -     -     400   401   -",
    deleted=           "401   -     -     -     -     400   401   -",
    expired=           "401   -     -     -     -     400   401   -",
    owner_banned=      "401   404   404   404   404   401   401   404",
)
"""U6: a banned account cannot be followed, by admins either."""

def _own(line: str) -> Cells:
    """As `_always`, but that the owner is signed out where banned."""
    cells = _always(line)
    return cells | {"owner_banned": cells["owner_banned"] | {"owner": cells["owner_banned"]["banned"]}}


UNFOLLOW: Final = _cells(
    public=            "401   -     -     -     -     -     401   -",
    private=           "401   -     -     -     -     -     401   -",
    processing=        "401   -     -     -     -     -     401   -",
    deleted=           "401   -     -     -     -     -     401   -",
    expired=           "401   -     -     -     -     -     401   -",
    owner_banned=      "401   404   -     -     404   401   401   404",
)
"""U7: one's own follow or request may be taken back from a banned account too."""

ANYBODY: Final = _always("-     -     -     -     -     -     -     -")
"""Nothing of anybody's is in the answer."""

SIGNED_IN: Final = _own("401   -     -     -     -     -     401   -")
"""One's own matters."""

MALFORMED: Final = _own("401   400   400   400   400   400   401   400")
"""The body says nothing; what is created is one's own."""

NOBODY_ASKED: Final = _own("401   404   404   404   404   404   401   404")
"""U11: the account has not asked to follow."""

DECLINE: Final = _own("401   -     -     -     -     -     401   -")
"""U12: harmless where nobody has asked."""

TALK: Final = _own("401   404   404   404   404   +     401   404")
"""Section 9, R-P7: a conversation is its participants' alone, and not admins' either."""

TALK_WRITE: Final = _silent(TALK)

TALKS: Final = _own("401   -     -     -     -     +     401   -")
"""M1: one's own conversations."""

TALK_OPEN: Final = _cells(
    public=            "401   -     -     -     -     400   401   -",
    private=           "401   -     -     -     -     400   401   -",
    processing=        "401   -     -     -     -     400   401   -",
    deleted=           "401   -     -     -     -     400   401   -",
    expired=           "401   -     -     -     -     400   401   -",
    owner_banned=      "401   404   404   404   404   401   401   404",
)
"""M2: anybody may write to anybody, but not to a banned account; admins do not either."""

NO_GROUP: Final = _own("401   404   404   404   404   404   401   404")
"""A pair is no group, for nobody."""

ADMINS: Final = _own("401   403   403   403   403   403   401   -")
"""Admins alone, before anything is looked up."""

ADMIN_READ: Final = _own("401   403   403   403   403   403   401   +")

ADMIN_DELETE: Final = ADMINS | {
    "deleted": ADMINS["deleted"] | {"admin": "404"},
}

# fmt: on


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What a route answers, and what it is about."""

    cells: Cells
    about: str = "nothing"
    """What `+` shows and `-` does not: `post` its id and caption, `comment` its text, `story` its id, `name` the
    account's, `message` its last message's text, `neighbour` somebody who likes the post or follows the account;
    `nothing` is never looked for."""
    body: dict[str, object] | None = None
    query: dict[str, object] | None = None
    uses_up: bool = False
    """Whether a call changes what the row is about: each that succeeds gets one of its own."""


ROWS: Final[dict[str, Row]] = {
    # What hangs on posts
    "GET /api/v1/posts/{post_id}": Row(cells=POST_READ, about="post"),
    "GET /api/v1/posts/{post_id}/likes": Row(cells=POST_READ, about="neighbour"),
    "GET /api/v1/posts/{post_id}/comments": Row(cells=POST_READ, about="comment"),
    "GET /api/v1/comments/{comment_id}/replies": Row(cells=POST_READ, about="reply"),
    "POST /api/v1/posts/{post_id}/like": Row(cells=POST_WRITE),
    "POST /api/v1/posts/{post_id}/save": Row(cells=POST_WRITE),
    "POST /api/v1/posts/{post_id}/comments": Row(cells=POST_WRITE, body={"content": "nice"}),
    "POST /api/v1/comments/{comment_id}/like": Row(cells=POST_WRITE),
    "DELETE /api/v1/posts/{post_id}/like": Row(cells=POST_WRITE, uses_up=True),
    "DELETE /api/v1/posts/{post_id}/save": Row(cells=TAKE_BACK, uses_up=True),
    "DELETE /api/v1/comments/{comment_id}/like": Row(cells=POST_WRITE, uses_up=True),
    "DELETE /api/v1/posts/{post_id}": Row(cells=POST_DELETE, uses_up=True),
    "DELETE /api/v1/comments/{comment_id}": Row(cells=COMMENT_DELETE, uses_up=True),
    # What hangs on accounts
    "GET /api/v1/users/{user}": Row(cells=PROFILE, about="name"),
    "GET /api/v1/users/{user}/posts": Row(cells=ACCOUNT_LIST, about="post"),
    "GET /api/v1/users/{user}/followers": Row(cells=PEOPLE_LIST, about="neighbour"),
    "GET /api/v1/users/{user}/following": Row(cells=PEOPLE_LIST, about="neighbour"),
    "POST /api/v1/users/{user}/follow": Row(cells=FOLLOW, uses_up=True),
    "DELETE /api/v1/users/{user}/follow": Row(cells=UNFOLLOW, uses_up=True),
    "GET /api/v1/users/search/users": Row(cells=HEADER, about="name"),
    # What shows many accounts
    "GET /api/v1/feed": Row(cells=FEED, about="post", query={"limit": 100}),
    "GET /api/v1/feed/explore": Row(cells=EXPLORE, about="post"),
    "GET /api/v1/users/me/saved": Row(cells=SAVED, about="post", query={"limit": 100}),
    # Stories
    "GET /api/v1/stories/tray": Row(cells=TRAY, about="name"),
    "GET /api/v1/stories/user/{user}": Row(cells=STORY_LIST, about="story"),
    "GET /api/v1/stories/{story_id}": Row(cells=STORY_READ, about="story"),
    "POST /api/v1/stories/{story_id}/view": Row(cells=STORY_VIEW),
    "GET /api/v1/stories/{story_id}/viewers": Row(cells=STORY_OWN, about="neighbour"),
    "DELETE /api/v1/stories/{story_id}": Row(cells=STORY_DELETE, uses_up=True),
    # One's own
    "GET /api/v1/auth/me": Row(cells=SIGNED_IN),
    "PUT /api/v1/users/me": Row(cells=SIGNED_IN, body={"bio": "new"}),
    "GET /api/v1/stories/me": Row(cells=SIGNED_IN),
    "GET /api/v1/users/me/follow-requests": Row(cells=SIGNED_IN),
    "POST /api/v1/users/me/follow-requests/{user}/accept": Row(cells=NOBODY_ASKED),
    "DELETE /api/v1/users/me/follow-requests/{user}": Row(cells=DECLINE),
    "POST /api/v1/posts": Row(cells=MALFORMED, body={"uploads": []}),
    "POST /api/v1/posts/uploads": Row(cells=SIGNED_IN, body={"files": [{"size": 1, "type": "image/png"}]}),
    "POST /api/v1/stories": Row(cells=MALFORMED, body={}),
    # Messages
    "GET /api/v1/messages/conversations": Row(cells=TALKS, about="message", query={"limit": 100}),
    "POST /api/v1/messages/conversations": Row(cells=TALK_OPEN, body={"recipientId": "{user}"}),
    "GET /api/v1/messages/conversations/{conversation_id}": Row(cells=TALK, about="message"),
    "POST /api/v1/messages/conversations/{conversation_id}": Row(
        cells=TALK_WRITE, body={"content": "hi"}, uses_up=True
    ),
    "POST /api/v1/messages/conversations/{conversation_id}/read": Row(
        cells=TALK_WRITE, body={"lastMessageId": "{message_id}"}
    ),
    "GET /api/v1/messages/conversations/{conversation_id}/read": Row(cells=TALK_WRITE),
    "POST /api/v1/messages/conversations/{conversation_id}/typing": Row(cells=TALK_WRITE),
    "GET /api/v1/messages/conversations/{conversation_id}/typing": Row(cells=TALK_WRITE),
    "POST /api/v1/messages/conversations/{conversation_id}/messages/{message_id}/reactions": Row(
        cells=TALK_WRITE, body={"reaction": "heart"}
    ),
    "DELETE /api/v1/messages/conversations/{conversation_id}/messages/{message_id}/reactions": Row(cells=TALK_WRITE),
    "PUT /api/v1/messages/conversations/{conversation_id}/mute": Row(cells=TALK_WRITE),
    "DELETE /api/v1/messages/conversations/{conversation_id}/mute": Row(cells=TALK_WRITE),
    "POST /api/v1/messages/groups": Row(cells=TALK_OPEN, body={"name": "Us", "userIds": ["{user}", "{neighbour}"]}),
    "PUT /api/v1/messages/groups/{conversation_id}": Row(cells=NO_GROUP, body={"name": "Us"}),
    "DELETE /api/v1/messages/groups/{conversation_id}": Row(cells=NO_GROUP),
    "GET /api/v1/live/events": Row(cells=SIGNED_IN),
    # Nobody's
    "POST /api/v1/auth/register": Row(cells=_always("400 400 400 400 400 400 400 400"), body={}),
    "POST /api/v1/auth/login": Row(cells=_always("400 400 400 400 400 400 400 400"), body={}),
    "POST /api/v1/auth/logout": Row(cells=ANYBODY, uses_up=True),
    "GET /api/v1/posts/filters/list": Row(cells=ANYBODY),
    "GET /api/v1/openapi.json": Row(cells=ANYBODY),
    "GET /api/health": Row(cells=ANYBODY),
    "GET /api/health/live": Row(cells=ANYBODY),
    "GET /api/health/ready": Row(cells=ANYBODY),
    "GET /api/health/detailed": Row(cells=ANYBODY),
    # Admins'
    "GET /api/v1/admin/users": Row(cells=ADMIN_READ, about="name", query={"limit": 100}),
    "GET /api/v1/admin/posts": Row(cells=ADMIN_READ, about="post", query={"limit": 100}),
    "GET /api/v1/admin/stats": Row(cells=ADMINS),
    "DELETE /api/v1/admin/users/{user}": Row(cells=ADMINS, uses_up=True),
    "POST /api/v1/admin/users/{user}/unban": Row(cells=ADMINS, uses_up=True),
    "DELETE /api/v1/admin/posts/{post_id}": Row(cells=ADMIN_DELETE, uses_up=True),
}
"""Every route of template.yaml; an alias answers as its canonical route."""
