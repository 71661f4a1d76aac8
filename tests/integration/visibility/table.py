"""The table of who sees and does what: every route, every kind of viewer, every state of what the route is about.

A cell is what must come of a request: a status that refuses it and changes nothing, `+` for a success that shows what
the row shows and has the effect that the row has, `-` for a success that shows and changes nothing, `.` where there is
no such viewer (a public account has no pending requests). The columns stand for VIEWERS, the lines for STATES.
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
    """For routes that are about no account's content."""
    return _cells(**dict.fromkeys(STATES, line))


def _with(cells: Cells, **viewers: str) -> Cells:
    """The same, with another cell for these viewers wherever it was `+`."""
    return {
        state: {viewer: viewers.get(viewer, cell) if cell == "+" else cell for viewer, cell in line.items()}
        for state, line in cells.items()
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
"""R-P1: a single resource, or what hangs on one: 404 as for one that does not exist. No session is needed (R-P3)."""

POST_WRITE: Final = _cells(
    public=            "401   +     +     +     +     +     401   +",
    private=           "401   404   404   +     404   +     401   +",
    processing=        _NOBODY_SIGNED,
    deleted=           _NOBODY_SIGNED,
    expired=           "401   404   404   +     404   +     401   +",
    owner_banned=      "401   404   404   404   404   401   401   +",
)
"""A viewer of a published post may like, save and comment."""

TAKE_BACK: Final = _cells(
    public=            "401   +     +     +     +     +     401   +",
    private=           "401   +     +     +     +     +     401   +",
    processing=        _NOBODY_SIGNED,
    deleted=           _NOBODY_SIGNED,
    expired=           "401   +     +     +     +     +     401   +",
    owner_banned=      "401   +     +     +     +     401   401   +",
)
"""A viewer can always undo an own like or save, even of a post that they can no longer see."""

POST_DELETE: Final = _cells(
    public=            "401   403   403   403   403   +     401   +",
    private=           "401   404   404   403   404   +     401   +",
    processing=        "401   404   404   404   404   +     401   +",
    deleted=           _NOBODY_SIGNED,
    expired=           "401   404   404   403   404   +     401   +",
    owner_banned=      "401   404   404   404   404   401   401   +",
)
"""P3: a post that is visible and of another account is 403."""

COMMENT_DELETE: Final = POST_DELETE
"""C3, for another account's comment: the post's owner and admins may."""

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
"""R-P5: search shows private accounts, and banned ones to admins alone."""

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
"""F2, R-P5: never private accounts, and neither the viewer's own posts nor those that their feed shows."""

FEED: Final = _cells(
    public=            "401   -     .     +     -     +     401   -",
    private=           "401   -     -     +     -     +     401   -",
    processing=        "401   -     -     -     -     -     401   -",
    deleted=           "401   -     -     -     -     -     401   -",
    expired=           "401   -     -     +     -     +     401   -",
    owner_banned=      "401   -     -     -     -     401   401   -",
)
"""F1: posts of followed accounts and the viewer's own; R-F4, R-P4."""

SAVED: Final = _cells(
    public=            "401   +     +     +     +     +     401   +",
    private=           "401   -     -     +     -     +     401   +",
    processing=        "401   -     -     -     -     -     401   -",
    deleted=           "401   -     -     -     -     -     401   -",
    expired=           "401   -     -     +     -     +     401   +",
    owner_banned=      "401   -     -     -     -     401   401   +",
)
"""U4: all viewers have saved every post; those that they can no longer view are left out."""

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
"""S6; R-S1: past its end a story exists for no viewer, R-S7."""

STORY_VIEW: Final = _with(STORY_READ, owner="-")
"""S7: the owner's views are not counted (R-S3)."""

STORY_OWN: Final = _cells(
    public=            "401   403   403   403   403   +     401   +",
    private=           "401   404   404   403   404   +     401   +",
    processing=        "401   404   404   403   404   +     401   +",
    deleted=           _NOBODY_SIGNED,
    expired=           _NOBODY_SIGNED,
    owner_banned=      "401   404   404   404   404   401   401   +",
)
"""S8: its owner and admins see the viewers."""

STORY_DELETE: Final = STORY_OWN

FOLLOW: Final = _cells(
    public=            "401   +     +     -     +     400   401   +",
    private=           "401   +     -     -     +     400   401   +",
    processing=        "401   +     -     -     +     400   401   +",
    deleted=           "401   +     -     -     +     400   401   +",
    expired=           "401   +     -     -     +     400   401   +",
    owner_banned=      "401   404   404   404   404   401   401   404",
)
"""U6: a banned account cannot be followed, by admins either."""

def _own(line: str) -> Cells:
    """As `_always`, but a banned owner has no session."""
    cells = _always(line)
    return cells | {"owner_banned": cells["owner_banned"] | {"owner": cells["owner_banned"]["banned"]}}


UNFOLLOW: Final = _cells(
    public=            "401   -     -     +     -     -     401   -",
    private=           "401   -     +     +     -     -     401   -",
    processing=        "401   -     +     +     -     -     401   -",
    deleted=           "401   -     +     +     -     -     401   -",
    expired=           "401   -     +     +     -     -     401   -",
    owner_banned=      "401   404   +     +     404   401   401   404",
)
"""U7: a viewer can end their own follow or request of a banned account too."""

ANYBODY: Final = _always("+     +     +     +     +     +     +     +")
"""The same for every caller."""

SIGNED_IN: Final = _own("401   +     +     +     +     +     401   +")
"""About the caller's own account."""

SIGN_OUT: Final = _own("-     +     +     +     +     +     -     +")
"""A3: without a live session there is nothing to end, and the answer is the same."""

OWN_STORIES: Final = _cells(
    public=            "401   -     -     -     -     +     401   -",
    private=           "401   -     -     -     -     +     401   -",
    processing=        "401   -     -     -     -     +     401   -",
    deleted=           "401   -     -     -     -     -     401   -",
    expired=           "401   -     -     -     -     -     401   -",
    owner_banned=      "401   -     -     -     -     401   401   -",
)
"""S4: the caller's own active stories."""

REQUESTS: Final = _cells(
    public=            "401   -     -     -     -     -     401   -",
    private=           "401   -     -     -     -     +     401   -",
    processing=        "401   -     -     -     -     +     401   -",
    deleted=           "401   -     -     -     -     +     401   -",
    expired=           "401   -     -     -     -     +     401   -",
    owner_banned=      "401   -     -     -     -     401   401   -",
)
"""U10: requests to follow the caller; each private account has one."""

ACCEPT: Final = _cells(
    public=            "401   404   404   404   404   404   401   404",
    private=           "401   404   404   404   404   +     401   404",
    processing=        "401   404   404   404   404   +     401   404",
    deleted=           "401   404   404   404   404   +     401   404",
    expired=           "401   404   404   404   404   +     401   404",
    owner_banned=      "401   404   404   404   404   401   401   404",
)
"""U11: the account that was asked accepts, and no other."""

DECLINE: Final = REQUESTS
"""U12: declining a request that does not exist changes nothing."""

CONVERSATION: Final = _own("401   404   404   404   404   +     401   404")
"""R-P7: a conversation is for its participants, and not for admins."""

CONVERSATIONS: Final = _own("401   -     -     -     -     +     401   -")
"""M1, L1: the caller's own conversations and events."""

OPEN_CONVERSATION: Final = _cells(
    public=            "401   +     +     +     +     400   401   +",
    private=           "401   +     +     +     +     400   401   +",
    processing=        "401   +     +     +     +     400   401   +",
    deleted=           "401   +     +     +     +     400   401   +",
    expired=           "401   +     +     +     +     400   401   +",
    owner_banned=      "401   404   404   404   404   401   401   404",
)
"""M2, M11: every account may write to every other, but not to a banned one; admins do not either."""

NO_GROUP: Final = _own("401   404   404   404   404   404   401   404")
"""M12, M13 for a conversation of two; the rows of group_table.py are about groups."""

ADMINS: Final = _own("401   403   403   403   403   403   401   +")
"""The role is checked before anything is looked up."""

ADMIN_BAN: Final = ADMINS | {"owner_banned": ADMINS["owner_banned"] | {"admin": "-"}}
"""AD2: banning a banned account changes nothing."""

ADMIN_UNBAN: Final = _with(ADMINS, admin="-") | {"owner_banned": ADMINS["owner_banned"]}

ADMIN_DELETE: Final = ADMINS | {"deleted": ADMINS["deleted"] | {"admin": "404"}}

# fmt: on


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What a route answers, what it shows and what it changes. Rows with a `+` show or change something."""

    cells: Cells
    shows: str = ""
    """What the answer of `+` holds and no other answer does; see `Owned.marks`."""
    does: str = ""
    """What `+` changes and no other request does; see effects.py."""
    path: dict[str, str] = {}
    """For a variable of the path, the name of the value that stands for it, where it is not the variable's own."""
    body: dict[str, object] | None = None
    form: dict[str, str] | None = None
    """The texts of a form, which has one picture too."""
    query: dict[str, str] = {}
    uses_up: bool = False
    """Whether a success changes what other cells need: then it gets an account of its own, prepared by `before`."""
    before: str = ""
    """What has happened before a success; see effects.py."""


ROWS: Final[dict[str, Row]] = {
    # Posts and comments
    "GET /api/v1/posts/{post_id}": Row(cells=POST_READ, shows="post and caption"),
    "GET /api/v1/posts/{post_id}/likes": Row(cells=POST_READ, shows="neighbour"),
    "GET /api/v1/posts/{post_id}/comments": Row(cells=POST_READ, shows="comment"),
    "GET /api/v1/comments/{comment_id}/replies": Row(cells=POST_READ, shows="reply"),
    "POST /api/v1/posts/{post_id}/like": Row(cells=POST_WRITE, does="like"),
    "POST /api/v1/posts/{post_id}/save": Row(cells=POST_WRITE, does="save", uses_up=True, before="not saved"),
    "POST /api/v1/posts/{post_id}/comments": Row(
        cells=POST_WRITE, shows="token", does="comment", body={"content": "nice {token}"}
    ),
    "POST /api/v1/comments/{comment_id}/like": Row(cells=POST_WRITE, does="like comment"),
    "DELETE /api/v1/posts/{post_id}/like": Row(cells=TAKE_BACK, does="unlike", uses_up=True, before="liked"),
    "DELETE /api/v1/posts/{post_id}/save": Row(cells=TAKE_BACK, does="unsave", uses_up=True),
    "DELETE /api/v1/comments/{comment_id}/like": Row(
        cells=TAKE_BACK, does="unlike comment", uses_up=True, before="comment liked"
    ),
    "DELETE /api/v1/posts/{post_id}": Row(cells=POST_DELETE, does="delete post", uses_up=True),
    "DELETE /api/v1/comments/{comment_id}": Row(cells=COMMENT_DELETE, does="delete comment", uses_up=True),
    # Accounts
    "GET /api/v1/users/{user}": Row(cells=PROFILE, shows="name"),
    "GET /api/v1/users/{user}/posts": Row(cells=ACCOUNT_LIST, shows="post"),
    "GET /api/v1/users/{user}/followers": Row(cells=PEOPLE_LIST, shows="neighbour"),
    "GET /api/v1/users/{user}/following": Row(cells=PEOPLE_LIST, shows="neighbour"),
    "POST /api/v1/users/{user}/follow": Row(cells=FOLLOW, does="follow or ask", uses_up=True),
    "DELETE /api/v1/users/{user}/follow": Row(cells=UNFOLLOW, does="unfollow", uses_up=True),
    "GET /api/v1/users/search/users": Row(cells=HEADER, shows="name", query={"q": "{name}"}),
    # Lists over many accounts
    "GET /api/v1/feed": Row(cells=FEED, shows="post and caption", query={"limit": "100"}),
    "GET /api/v1/feed/explore": Row(cells=EXPLORE, shows="post"),
    "GET /api/v1/users/me/saved": Row(cells=SAVED, shows="post", query={"limit": "100"}),
    # Stories
    "GET /api/v1/stories/tray": Row(cells=TRAY, shows="name"),
    "GET /api/v1/stories/user/{user}": Row(cells=STORY_LIST, shows="story"),
    "GET /api/v1/stories/{story_id}": Row(cells=STORY_READ, shows="story"),
    "POST /api/v1/stories/{story_id}/view": Row(cells=STORY_VIEW, does="view story"),
    "GET /api/v1/stories/{story_id}/viewers": Row(cells=STORY_OWN, shows="neighbour"),
    "DELETE /api/v1/stories/{story_id}": Row(cells=STORY_DELETE, does="delete story", uses_up=True),
    # The caller's own account
    "GET /api/v1/auth/me": Row(cells=SIGNED_IN, shows="caller"),
    "PUT /api/v1/users/me": Row(cells=SIGNED_IN, shows="token", does="change bio", body={"bio": "{token}"}),
    "GET /api/v1/stories/me": Row(cells=OWN_STORIES, shows="story"),
    "GET /api/v1/users/me/follow-requests": Row(cells=REQUESTS, shows="requester"),
    "POST /api/v1/users/me/follow-requests/{user}/accept": Row(
        cells=ACCEPT, does="accept", path={"user": "requester"}, uses_up=True
    ),
    "DELETE /api/v1/users/me/follow-requests/{user}": Row(
        cells=DECLINE, does="decline", path={"user": "requester"}, uses_up=True
    ),
    "POST /api/v1/posts": Row(cells=SIGNED_IN, shows="token", does="create post", form={"caption": "{token}"}),
    "POST /api/v1/posts/uploads": Row(
        cells=SIGNED_IN,
        shows="expiresAt",
        does="create upload",
        body={"files": [{"size": 1000, "type": "image/png"}]},
        uses_up=True,
    ),
    "POST /api/v1/stories": Row(
        cells=SIGNED_IN, shows="caller's id", does="create story", form={"filter": "lark"}, uses_up=True
    ),
    # Conversations
    "GET /api/v1/messages/conversations": Row(cells=CONVERSATIONS, shows="message", query={"limit": "100"}),
    "POST /api/v1/messages/conversations": Row(
        cells=OPEN_CONVERSATION, shows="owner's id", does="open conversation", body={"recipientId": "{user}"}
    ),
    "GET /api/v1/messages/conversations/{conversation_id}": Row(cells=CONVERSATION, shows="message"),
    "POST /api/v1/messages/conversations/{conversation_id}": Row(
        cells=CONVERSATION, shows="token", does="send", body={"content": "hi {token}"}, uses_up=True
    ),
    "POST /api/v1/messages/conversations/{conversation_id}/read": Row(
        cells=CONVERSATION, does="mark read", body={"lastMessageId": "{message_id}"}
    ),
    "GET /api/v1/messages/conversations/{conversation_id}/read": Row(cells=CONVERSATION, shows="message's id"),
    "POST /api/v1/messages/conversations/{conversation_id}/typing": Row(cells=CONVERSATION, does="type"),
    "GET /api/v1/messages/conversations/{conversation_id}/typing": Row(
        cells=CONVERSATION, shows="neighbour's id", uses_up=True, before="neighbour types"
    ),
    "POST /api/v1/messages/conversations/{conversation_id}/messages/{message_id}/reactions": Row(
        cells=CONVERSATION, does="react", body={"reaction": "heart"}, uses_up=True
    ),
    "DELETE /api/v1/messages/conversations/{conversation_id}/messages/{message_id}/reactions": Row(
        cells=CONVERSATION, does="remove reaction", uses_up=True, before="reacted"
    ),
    "PUT /api/v1/messages/conversations/{conversation_id}/mute": Row(cells=CONVERSATION, does="mute", uses_up=True),
    "DELETE /api/v1/messages/conversations/{conversation_id}/mute": Row(
        cells=CONVERSATION, does="unmute", uses_up=True, before="muted"
    ),
    "POST /api/v1/messages/groups": Row(
        cells=OPEN_CONVERSATION, does="open group", body={"name": "{token}", "userIds": ["{user}", "{neighbour}"]}
    ),
    "PUT /api/v1/messages/groups/{conversation_id}": Row(cells=NO_GROUP, body={"name": "Us"}),
    "DELETE /api/v1/messages/groups/{conversation_id}": Row(cells=NO_GROUP),
    "GET /api/v1/live/events": Row(cells=CONVERSATIONS, shows="message's id", query={"after": "{event}"}),
    # The same for all
    "POST /api/v1/auth/register": Row(
        cells=ANYBODY,
        shows="token",
        does="register",
        body={"username": "u_{token}", "email": "{token}@example.org", "password": "{token}"},
    ),
    "POST /api/v1/auth/login": Row(
        cells=ANYBODY, shows="registered", body={"username": "{registered}", "password": "{password}"}
    ),
    "POST /api/v1/auth/logout": Row(cells=SIGN_OUT, does="end session", uses_up=True),
    "GET /api/v1/posts/filters/list": Row(cells=ANYBODY, shows="clarendon"),
    "GET /api/v1/openapi.json": Row(cells=ANYBODY, shows="/api/v1/posts"),
    "GET /api/health": Row(cells=ANYBODY, shows='"ok"'),
    "GET /api/health/live": Row(cells=ANYBODY, shows='"alive"'),
    "GET /api/health/ready": Row(cells=ANYBODY, shows='"ready"'),
    "GET /api/health/detailed": Row(cells=ANYBODY, shows='"cassandra"'),
    # Administration
    "GET /api/v1/admin/users": Row(cells=ADMINS, shows="name", query={"limit": "100", "q": "{name}"}),
    "GET /api/v1/admin/posts": Row(cells=ADMINS, shows="post and caption", query={"limit": "100", "userId": "{user}"}),
    "GET /api/v1/admin/stats": Row(cells=ADMINS, shows='"createdLast24h"'),
    "DELETE /api/v1/admin/users/{user}": Row(cells=ADMIN_BAN, does="ban", uses_up=True),
    "POST /api/v1/admin/users/{user}/unban": Row(cells=ADMIN_UNBAN, does="unban", uses_up=True),
    "DELETE /api/v1/admin/posts/{post_id}": Row(cells=ADMIN_DELETE, does="delete post", uses_up=True),
}
"""Every route of template.yaml; an alias answers as its canonical route."""

CONTENT: Final = ("post", "post and caption", "comment", "reply", "story", "name", "message", "neighbour")
"""What only some viewers may see."""
