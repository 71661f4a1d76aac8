"""The table of who sees and does what in a group; the cells are those of table.py, with other viewers and one state."""

from typing import Final

import msgspec

from tests.integration.visibility.table import ROWS, Cells, Row

GROUP: Final = "group"
"""The one state."""

VIEWERS: Final = ("anonymous", "outsider", "admin", "creator", "member", "admin_member", "left", "banned")
"""`admin` is not a member, `left` was one, `banned` is one whose session a ban has ended."""


def _cells(line: str) -> Cells:
    return {GROUP: dict(zip(VIEWERS, line.split(), strict=True))}


# fmt: off
#                       anon  out   adm   cre   mem   adm_m left  ban
MEMBERS: Final = _cells("401  404   404   +     +     +     404   401")
"""R-P7, R-G6: a group is for its present members."""

LISTED: Final = _cells( "401  -     -     +     +     +     -     401")
"""M1, L1: the groups and events of the caller."""
# fmt: on

_CONVERSATION: Final = "/api/v1/messages/conversations/{conversation_id}"


def _as_in_pairs(name: str, cells: Cells = MEMBERS) -> dict[str, Row]:
    """The row of the same route for a conversation of two, with these cells."""
    return {name: msgspec.structs.replace(ROWS[name], cells=cells)}


ROWS_OF_GROUPS: Final[dict[str, Row]] = {
    **_as_in_pairs("GET /api/v1/messages/conversations", LISTED),
    **_as_in_pairs(f"GET {_CONVERSATION}"),
    **_as_in_pairs(f"POST {_CONVERSATION}"),
    **_as_in_pairs(f"POST {_CONVERSATION}/read"),
    **_as_in_pairs(f"GET {_CONVERSATION}/read"),
    **_as_in_pairs(f"POST {_CONVERSATION}/typing"),
    **_as_in_pairs(f"GET {_CONVERSATION}/typing"),
    **_as_in_pairs(f"POST {_CONVERSATION}/messages/{{message_id}}/reactions"),
    **_as_in_pairs(f"DELETE {_CONVERSATION}/messages/{{message_id}}/reactions"),
    **_as_in_pairs(f"PUT {_CONVERSATION}/mute"),
    **_as_in_pairs(f"DELETE {_CONVERSATION}/mute"),
    **_as_in_pairs("GET /api/v1/live/events", LISTED),
    "PUT /api/v1/messages/groups/{conversation_id}": Row(
        cells=MEMBERS, does="rename group", body={"name": "{token}"}, uses_up=True
    ),
    "DELETE /api/v1/messages/groups/{conversation_id}": Row(cells=MEMBERS, does="leave group", uses_up=True),
}
"""Every route about one conversation, and the lists of the caller's conversations and events."""
